"""Bring the snapshot of players' running state up to date with the warehouse."""

from __future__ import annotations

from collections.abc import Collection

from questline_core.features.moments import states_now
from questline_core.features.store import FeatureStore
from questline_core.warehouse.port import Warehouse


def refresh(warehouse: Warehouse, store: FeatureStore, players: Collection[str] | None) -> int:
    """Compute the state of these players (None = all) anew and write it; return how many were written."""
    if players is not None and not players:
        return 0
    return store.put_many(states_now(warehouse, players))
