"""Prepare: make the tables of churn from the events of the warehouse."""

from kfp import dsl

from questline_components.image import component


@component()
def prepare(warehouse: str, grace_hours: int, seen_days: int, players: dsl.Output[dsl.Dataset]) -> str:
    """Label the players, split them by a hash, and return the version that this training's models are named by."""
    from contextlib import closing
    from dataclasses import asdict
    from datetime import UTC, datetime
    from pathlib import Path

    from questline_core.churn.tables import Prepared, Rules, Split, prepare, split
    from questline_core.warehouse.port import open_warehouse

    rules = Rules(grace_hours=grace_hours, seen_days=seen_days)
    with closing(open_warehouse(warehouse)) as opened:
        found = prepare(opened, rules)
        split(opened, Split(by_time=False))
    Prepared(players=found, rules=rules).write(Path(players.path))
    players.metadata |= asdict(found)
    return f"{datetime.now(UTC):%Y%m%d_%H%M%S_%f}"
