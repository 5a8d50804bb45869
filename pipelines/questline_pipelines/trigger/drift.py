"""Tell the trigger whether players or answers have moved away from the newest model, without looking all the time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from questline_core.errors import NotReady
from questline_core.monitoring.watch import drift_exceeds
from questline_core.warehouse.port import Warehouse


@dataclass(slots=True, kw_only=True)
class DriftWatch:
    """Remembers its last answer for a while, because a look reads the history of all players."""

    every_s: float
    """Least time between two looks; what was found by the last one is told until then."""
    _looked_s: float | None = None
    _found: str = ""

    def moved(self, warehouse: Warehouse, model_store: str, *, psi: float) -> str:
        """Say what moved, if its stability index is `psi` or more; empty if nothing did or there is no model."""
        now = time.monotonic()
        if self._looked_s is None or now - self._looked_s >= self.every_s:
            self._looked_s = now
            try:
                self._found = drift_exceeds(warehouse, model_store, psi=psi)
            except NotReady:
                self._found = ""
        return self._found
