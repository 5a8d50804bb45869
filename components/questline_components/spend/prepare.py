"""Prepare: take the examples of the spend model out of the warehouse."""

from kfp import dsl

from questline_components.image import component


@component()
def prepare(
    warehouse: str, data_version: str, horizon_hours: int, holdout_days: int, examples: dsl.Output[dsl.Dataset]
) -> None:
    """Write the examples of one version of the events: those to train on, and those of later days to judge with."""
    from dataclasses import asdict
    from pathlib import Path

    from questline_core.spend.examples import extract
    from questline_core.warehouse.port import open_warehouse

    rooms = open_warehouse(warehouse)
    counts = extract(rooms, Path(examples.path), horizon_hours=horizon_hours, holdout_days=holdout_days)
    examples.metadata |= {"data_version": data_version, "horizon_hours": horizon_hours, "holdout_days": holdout_days}
    examples.metadata |= asdict(counts)
