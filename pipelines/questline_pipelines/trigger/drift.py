"""Measure how far players behave differently since the last training: drift of the events that inputs are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

LEAST_EVENTS = 1000
"""With fewer events before or after, the shares say nothing."""
_FLOOR = 1e-4  # a share of zero has no logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far the shares of the kinds of events moved."""

    index: float
    """Population stability index: below 0.1 nothing moved, above 0.25 much did."""
    strongest: str
    """The kind of event that moved most."""

    def __str__(self) -> str:
        return f"drift of events: stability index {self.index:.2f}, most of {self.strongest}"


def drift(warehouse: Warehouse, *, since_micros: int) -> Drift | None:
    """Compare the events before a moment with those after it; None while there are too few of either."""
    mix = warehouse.query(sql("spend/event_mix.sql"), since=since_micros)
    before, after = (mix[name].to_numpy().astype(float) for name in ("events_before", "events_after"))
    if before.sum() < LEAST_EVENTS or after.sum() < LEAST_EVENTS:
        return None
    old, new = (np.maximum(counts / counts.sum(), _FLOOR) for counts in (before, after))
    parts = (new - old) * np.log(new / old)
    return Drift(index=float(parts.sum()), strongest=mix["event_name"][int(parts.argmax())].as_py())
