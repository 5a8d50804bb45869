"""Bring the snapshot of players' running state up to date with the warehouse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from questline_core.features.moments import states_now
from questline_core.features.state import PlayerState
from questline_core.features.store import FeatureStore
from questline_core.privacy.forgotten import Forgotten
from questline_core.warehouse.port import Warehouse


def refresh(
    warehouse: Warehouse, store: FeatureStore, players: Collection[str] | None, *, forgotten: Forgotten | None = None
) -> int:
    """Compute the state of these players (None = all) anew and write it; return how many were written.

    Players who are forgotten meanwhile are left out.
    """
    if players is not None and not players:
        return 0
    states = states_now(warehouse, players)
    return store.put_many(states if forgotten is None else _others(states, forgotten))


def _others(states: Iterable[tuple[str, PlayerState]], forgotten: Forgotten) -> Iterator[tuple[str, PlayerState]]:
    # This runs while the store writes, which erasure waits for: who is forgotten later is erased later.
    forgotten.refresh()
    yield from ((player, state) for player, state in states if player not in forgotten)
