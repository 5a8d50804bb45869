"""Predict: score every player of the last days with the model that the gate named."""

from kfp import dsl

from questline_components.image import component


@component()
def predict(
    warehouse: str,
    version: str,
    players: dsl.Input[dsl.Dataset],
    verdict: dsl.Input[dsl.Markdown],
    scores: dsl.Output[dsl.Dataset],
) -> int:
    """Keep the model as the one in use, write the scores with the lookup's terms, and return how many they are."""
    from contextlib import closing
    from pathlib import Path

    from questline_components.code import code_version
    from questline_core.churn.judging import InUse
    from questline_core.churn.release import score, take_in_use
    from questline_core.churn.tables import Prepared
    from questline_core.lookup.exported import write_export
    from questline_core.warehouse.port import open_warehouse

    model = InUse(**verdict.metadata["model"]) if "model" in verdict.metadata else None
    told = Prepared.read(Path(players.path))
    lineage = {"training": version, "code_version": code_version()}
    with closing(open_warehouse(warehouse)) as opened:
        rows, terms = score(opened, model, told.players, told.rules, lineage=lineage)
        take_in_use(opened, model, dropping=version)
    write_export(scores.path, rows, terms)
    scores.metadata |= terms.lineage
    return rows.num_rows
