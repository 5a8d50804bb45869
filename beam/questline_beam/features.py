"""Keep the players' running features up with the rows, without holding up the rows."""

from __future__ import annotations

import time
from collections.abc import Collection

import structlog

from questline_core.features.refresh import refresh
from questline_core.features.store import FeatureStore
from questline_core.warehouse.port import Warehouse

REST = 4.0
"""After a refresh rows have the machine for this many times as long as it took."""

log = structlog.get_logger()


class FollowedFeatures:
    """The feature snapshot, brought up to date for the players of the rows that were written.

    A refresh reads the players' whole history, so players are gathered while it would take more than its share of time.
    What fails is logged and tried again: features hold nothing that the rows do not.
    """

    def __init__(self, warehouse: Warehouse, store: FeatureStore) -> None:
        self._warehouse, self._store = warehouse, store
        self._waiting: set[str] | None = None  # None: all players
        self._not_before = 0.0

    def note(self, players: Collection[str]) -> None:
        """Say that rows of these players were written."""
        if self._waiting is not None:
            self._waiting.update(players)

    def refresh_if_due(self) -> None:
        """Refresh the players that wait, or all at first, unless the last refresh was a short while ago."""
        if time.monotonic() >= self._not_before:
            self.refresh_now()

    def refresh_now(self) -> None:
        """Refresh the players that wait."""
        if self._waiting is not None and not self._waiting:
            return
        started = time.monotonic()
        try:
            refresh(self._warehouse, self._store, self._waiting)
            self._waiting = set()
        except Exception as error:  # noqa: BLE001 - rows go on without features
            log.warning("features not refreshed", reason=f"{type(error).__name__}: {error}")
        finished = time.monotonic()
        self._not_before = finished + REST * (finished - started)
