"""What the warehouse shows that a training would learn from: labels that became due, and load."""

from __future__ import annotations

import time
from dataclasses import dataclass

from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse
from questline_pipelines.trigger.settings import TriggerSettings

_HOUR, _SECOND = 3_600_000_000, 1_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is there now."""

    data_version: str
    due_micros: int
    """The labels of moments up to here are due."""
    labels: int
    """Moments whose label became due since the last training."""
    recent_rows: int
    """Rows that came in within the window."""


def look(warehouse: Warehouse, settings: TriggerSettings, *, since_micros: int) -> Evidence | None:
    """Look at the events; None while there are none.

    Args:
        warehouse: holds the events.
        settings: the horizon of the labels and the window of the rows.
        since_micros: `due_micros` of the last training, 0 if there was none.
    """
    if EVENTS not in warehouse.tables():
        return None
    latest = warehouse.query(sql("spend/latest_event.sql"))["latest_micros"][0].as_py()
    if latest is None:
        return None
    due = latest - settings.trigger_horizon_hours * _HOUR
    received = int((time.time() - settings.trigger_window_s) * _SECOND)
    found = warehouse.query(sql("spend/new_labels.sql"), since=since_micros, due=due, received=received)
    return Evidence(
        data_version=warehouse.version(EVENTS),
        due_micros=due,
        labels=found["labels"][0].as_py(),
        recent_rows=found["recent_rows"][0].as_py(),
    )
