"""The running state of one player, and its compact form in the snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

LAYOUT = 2
"""Changes whenever the fields do. A state of another layout counts as unknown until the next refresh."""


SLOT_MICROS = 600_000_000
"""Recent events are counted by slots of ten minutes, numbered since 1970-01-01 UTC."""


class Slot(NamedTuple):
    """What a player did within ten minutes."""

    slot: int
    events: int
    fails: int
    """Levels failed."""
    spends: int
    spend_sum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerState:
    """What all events of a player so far add up to, as `sql/player_state.sql` computes it.

    None is "never" or "not told". Times are microseconds since 1970-01-01 UTC.
    """

    events: int = 0
    sessions: int = 0
    active_days: int = 0
    """Days (UTC) with at least one event."""
    engagement_ms: float = 0.0
    level_max: float | None = None
    levels_completed: int = 0
    levels_failed: int = 0
    levels_retried: int = 0
    fails_in_row: int = 0
    """Levels failed since the last one that was completed."""
    session_events: int = 0
    """Events since the last session_start."""
    session_fails: int = 0
    """Levels failed since the last session_start."""
    out_of_steps: int = 0
    extra_steps_used: int = 0
    ad_rewards: int = 0
    spends: int = 0
    spend_sum: float = 0.0
    """Virtual currency spent so far."""
    last_spend_value: float | None = None
    first_touch_micros: int | None = None
    first_event_micros: int | None = None
    last_event_micros: int | None = None
    last_session_micros: int | None = None
    last_spend_micros: int | None = None
    country: str | None = None
    language: str | None = None
    operating_system: str | None = None
    time_zone_offset_seconds: int | None = None
    recent: tuple[Slot, ...] = ()
    """The slots with events within seven days before the last event, in order."""


STATE_FIELDS = tuple(field.name for field in fields(PlayerState))
"""Names of the fields, in the order of the snapshot; the SQL file has a column of each name."""


def encode(state: PlayerState) -> bytes:
    """Pack a state: a JSON array of the layout and every field, so that 64-bit integers stay exact."""
    return json.dumps(
        (LAYOUT, *(getattr(state, name) for name in STATE_FIELDS)), separators=(",", ":"), ensure_ascii=False
    ).encode()


def decode(packed: bytes | memoryview) -> PlayerState | None:
    """Unpack a state; None when another layout wrote it."""
    layout, *values = json.loads(bytes(packed))
    return state_of(values) if layout == LAYOUT else None


def state_of(values: Iterable[Any]) -> PlayerState:
    """Make a state of the values of its fields, in their order, with the slots as sequences."""
    known = dict(zip(STATE_FIELDS, values, strict=True))
    return PlayerState(**known | {"recent": tuple(Slot(*slot) for slot in known["recent"] or ())})
