"""Keep a snapshot of players' running state up to date with rows that a stream elsewhere writes, as one on Dataflow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import pyarrow.compute

from questline_core.features.moments import states_now
from questline_core.features.store import FeatureStore
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

EVERYBODY_EVERY_S = 86_400.0
"""Writing all players anew takes away those who were forgotten, and brings what came too late to be seen."""
MOST_PLAYERS = 20_000
"""To ask for all is cheaper than to name more of them."""
OVERLAP_US = 15 * 60 * 1_000_000
"""Rows need not appear in the order in which their events came."""


@dataclass(slots=True)
class Follower:
    """Looks at a warehouse again and again; between two looks it holds only where it was."""

    store: FeatureStore
    _version: str = ""
    _since_us: int = 0
    _everybody_at_s: float | None = None

    def look(self, warehouse: Warehouse) -> int:
        """Write the states of players with new rows, everybody's at first and once a day; return how many were written.

        Raises:
            QuestlineError: the warehouse or the snapshot cannot be used; the next look makes up for it.
        """
        if EVENTS not in warehouse.tables():
            return 0
        now_s, version = time.monotonic(), warehouse.version(EVENTS)
        everybody = self._everybody_at_s is None or now_s - self._everybody_at_s >= EVERYBODY_EVERY_S
        if version == self._version and not everybody:
            return 0
        since = max(0, self._since_us - OVERLAP_US)
        news = warehouse.query(sql("features/players_since.sql"), since=since)
        if everybody or news.num_rows > MOST_PLAYERS:
            written = self.store.replace(states_now(warehouse, None))
            self._everybody_at_s = now_s
        else:
            players = cast("list[str]", news["player"].to_pylist())
            written = self.store.put_many(states_now(warehouse, players)) if players else 0
        self._version = version
        self._since_us = max(self._since_us, pc.max(news["newest_micros"]).as_py() or 0)
        return written
