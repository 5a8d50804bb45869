"""Ask the warehouse for the running state of players: as of now, or at the moments to learn from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from questline_core.features.online import Moment
from questline_core.features.state import STATE_FIELDS, PlayerState, state_of
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

_NO_END = 2**62
_AT_ONCE = 10_000
"""Rows that become objects of Python at once, which take far more memory than columns."""
_MOMENT_FIELDS = tuple(field.name for field in fields(Moment))


def states_now(warehouse: Warehouse, players: Collection[str] | None) -> Iterator[tuple[str, PlayerState]]:
    """Compute the state of these players (None = all) from all their events; players without any are left out."""
    table = warehouse.query(
        sql("features/player_state.sql"),
        everyone=players is None,
        players=sorted(players or ()),
        sampled=False,
        until=0,
        chosen=[],
    )
    for part in table.to_batches(max_chunksize=_AT_ONCE):
        for player, state in zip(_texts(part, "player"), _states(part), strict=True):
            if state is not None:
                yield player, state


At = tuple[str, str, PlayerState | None, Moment]
"""Player, event id of the moment, the state before it (None at the player's first event), the moment."""


def sampled_moments(warehouse: Warehouse, *, until_micros: int) -> Iterator[At]:
    """Give one moment a player and day, not later than `until_micros`, with the state before it."""
    return _moments_of(warehouse, everyone=True, players=[], until=until_micros, chosen=[])


def moments_at(warehouse: Warehouse, events: Mapping[str, str]) -> Iterator[At]:
    """Give the moments of these events (player by event id) with the state before each; of some there may be none."""
    if not events:
        return iter(())
    players = sorted(set(events.values()))
    return _moments_of(warehouse, everyone=False, players=players, until=_NO_END, chosen=sorted(events))


def _moments_of(warehouse: Warehouse, **parameters: Any) -> Iterator[At]:
    table = warehouse.query(sql("features/player_state.sql"), sampled=True, **parameters)
    for part in table.to_batches(max_chunksize=_AT_ONCE):
        yield from zip(
            _texts(part, "player"), _texts(part, "moment_event_id"), _states(part), _moments(part), strict=True
        )


def _texts(table: pa.RecordBatch, column: str) -> list[str]:
    return cast("list[str]", table[column].to_pylist())


def _states(table: pa.RecordBatch) -> Iterator[PlayerState | None]:
    columns = [table[name].to_pylist() for name in STATE_FIELDS[:-1]]
    recent = ([slot.values() for slot in slots or ()] for slots in table["recent"].to_pylist())
    for values in zip(*columns, recent, strict=True):
        yield None if values[0] is None else state_of(values)


def _moments(table: pa.RecordBatch) -> Iterator[Moment]:
    columns = [table[f"moment_{name}"].to_pylist() for name in _MOMENT_FIELDS]
    for values in zip(*columns, strict=True):
        yield Moment(**dict(zip(_MOMENT_FIELDS, values, strict=True)))
