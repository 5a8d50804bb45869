"""Validate: refuse players of whom no model could be learned."""

from kfp import dsl

from questline_components.image import component


@component()
def validate(warehouse: str, players: dsl.Input[dsl.Dataset], checks: dsl.Output[dsl.Metrics]) -> bool:
    """Check the labels and features, and keep what was found; fails with a sentence when a rule is not kept."""
    import json
    from contextlib import closing
    from pathlib import Path

    from questline_core.churn.tables import Prepared
    from questline_core.churn.validation import validate
    from questline_core.warehouse.port import open_warehouse

    with closing(open_warehouse(warehouse)) as opened:
        found = validate(opened, Prepared.read(Path(players.path)).players)
    checks.metadata |= found
    Path(checks.path).write_text(json.dumps(dict(found)), encoding="utf-8")
    return True
