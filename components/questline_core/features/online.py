"""Turn a player's running state and the event at hand into the inputs of the spend model.

The same function makes the examples to learn from and the requests of the gateway, so that neither can drift from the
other. Inputs are counts and spans of time: no ids, and no clock that a later day would not repeat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from questline_core.features.state import SLOT_MICROS, PlayerState, Slot
from questline_core.pb.telemetry_pb2 import Event

NUMBERS = (
    "days_since_install",
    "hours_since_last_event",
    "hours_since_session_start",
    "days_since_last_spend",
    "local_hour",
    "events",
    "sessions",
    "active_days",
    "engagement_minutes",
    "level_max",
    "levels_completed",
    "levels_failed",
    "levels_retried",
    "fails_in_row",
    "session_events",
    "session_fails",
    "out_of_steps",
    "extra_steps_used",
    "ad_rewards",
    "spends",
    "spend_sum",
    "last_spend_value",
    "skill",
    "events_1h",
    "fails_1h",
    "spends_1h",
    "spend_sum_1h",
    "events_24h",
    "fails_24h",
    "spends_24h",
    "spend_sum_24h",
    "events_7d",
    "fails_7d",
    "spends_7d",
    "spend_sum_7d",
)
"""Inputs of the spend model that are numbers; NaN is "not known"."""

TEXTS = ("event_name", "country", "language", "operating_system")
"""Inputs of the spend model that are texts; "" is "not known"."""

Inputs = Mapping[str, float | str]

_HOUR, _DAY = 3_600_000_000, 86_400_000_000  # microseconds
_NEW = PlayerState()
_WINDOWS = {"1h": 6, "24h": 144, "7d": 1008}  # slots, the one of the moment among them
_QUIET = {f"{what}_{name}": 0.0 for name in _WINDOWS for what in ("events", "fails", "spends", "spend_sum")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the event at hand tells beside the state before it. Times are microseconds since 1970-01-01 UTC."""

    event_name: str
    at_micros: int
    first_touch_micros: int | None = None
    country: str | None = None
    language: str | None = None
    operating_system: str | None = None
    time_zone_offset_seconds: int | None = None


def missing_inputs() -> dict[str, float | str]:
    """All inputs as "not known"."""
    return dict.fromkeys(NUMBERS, math.nan) | dict.fromkeys(TEXTS, "")


def spend_inputs(state: PlayerState | None, event: Event) -> dict[str, float | str]:
    """Make the spend model's inputs for the player of an event.

    Args:
        state: the player's state before the event; None for a player of whom nothing was seen yet.
        event: the event that asks, not counted in the state.
    """
    return inputs_at(state, _moment(event))


def inputs_at(state: PlayerState | None, moment: Moment) -> dict[str, float | str]:
    """Make the spend model's inputs for a player at a moment; see `spend_inputs`."""
    known = state or _NEW
    return {
        **_spans(known, moment),
        "events": float(known.events),
        "sessions": float(known.sessions),
        "active_days": float(known.active_days),
        "engagement_minutes": known.engagement_ms / 60_000,
        "level_max": _number(known.level_max),
        "levels_completed": float(known.levels_completed),
        "levels_failed": float(known.levels_failed),
        "levels_retried": float(known.levels_retried),
        "fails_in_row": float(known.fails_in_row),
        "session_events": float(known.session_events),
        "session_fails": float(known.session_fails),
        "out_of_steps": float(known.out_of_steps),
        "extra_steps_used": float(known.extra_steps_used),
        "ad_rewards": float(known.ad_rewards),
        "spends": float(known.spends),
        "spend_sum": known.spend_sum,
        "last_spend_value": _number(known.last_spend_value),
        "skill": _skill(known),
        **_windows(known.recent, moment.at_micros // SLOT_MICROS),
        "event_name": moment.event_name,
        "country": moment.country or known.country or "",
        "language": base_language(moment.language or known.language),
        "operating_system": moment.operating_system or known.operating_system or "",
    }


def base_language(code: str | None) -> str:
    """Reduce a language code to its language: zh-hans-cn -> zh."""
    return (code or "").replace("_", "-").partition("-")[0].lower()


def _spans(known: PlayerState, moment: Moment) -> dict[str, float]:
    now = moment.at_micros
    installed = _first(moment.first_touch_micros, known.first_touch_micros, known.first_event_micros)
    offset_s = _first(moment.time_zone_offset_seconds, known.time_zone_offset_seconds)
    return {
        "days_since_install": _since(installed, now, _DAY),
        "hours_since_last_event": _since(known.last_event_micros, now, _HOUR),
        "hours_since_session_start": _since(known.last_session_micros, now, _HOUR),
        "days_since_last_spend": _since(known.last_spend_micros, now, _DAY),
        "local_hour": math.nan if offset_s is None else (now + offset_s * 1_000_000) % _DAY / _HOUR,
    }


def _skill(known: PlayerState) -> float:
    """Give the share of finished levels that were completed."""
    finished = known.levels_completed + known.levels_failed
    return known.levels_completed / finished if finished else math.nan


def _windows(recent: Iterable[Slot], now: int) -> Mapping[str, float]:
    """Add up the slots of each window that ends with the slot of the moment."""
    found: dict[str, float] = {}
    slots = [slot for slot in recent if now - slot.slot < _WINDOWS["7d"]]
    if not slots:
        return _QUIET
    for name, length in _WINDOWS.items():
        inside = [slot for slot in slots if now - slot.slot < length]
        found[f"events_{name}"] = float(sum(slot.events for slot in inside))
        found[f"fails_{name}"] = float(sum(slot.fails for slot in inside))
        found[f"spends_{name}"] = float(sum(slot.spends for slot in inside))
        found[f"spend_sum_{name}"] = float(sum(slot.spend_sum for slot in inside))
    return found


def _moment(event: Event) -> Moment:
    device = event.device
    return Moment(
        event_name=event.event_name,
        at_micros=event.event_timestamp,
        first_touch_micros=event.user_first_touch_timestamp or None,
        country=event.geo.country or None,
        language=device.language or None,
        operating_system=None if device.operating_system in {"", "NaN"} else device.operating_system,
        time_zone_offset_seconds=(
            device.time_zone_offset_seconds if device.HasField("time_zone_offset_seconds") else None
        ),
    )


def _since(then: int | None, now: int, unit_micros: int) -> float:
    """Count units since a time; clocks that disagree never make it negative."""
    return math.nan if then is None else max(0, now - then) / unit_micros


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
