"""Accept the original's request: eleven fields of the event at hand, and nothing of the player's past."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from questline_core.errors import BadInput
from questline_core.features.online import Moment, inputs_at, missing_inputs

NUMBER_FIELDS = (
    "event_timestamp",
    "event_previous_timestamp",
    "event_bundle_sequence_id",
    "event_server_timestamp_offset",
    "user_first_touch_timestamp",
)
TEXT_FIELDS = ("event_name", "event_date", "user_pseudo_id", "operating_system", "language", "country")
ORIGINAL_FIELDS = frozenset((*NUMBER_FIELDS, *TEXT_FIELDS))
"""The eleven fields of the original's request."""

_FROM_THE_EVENT = ("event_name", "days_since_install", "country", "language", "operating_system")


def inputs_from_instance(instance: Mapping[str, Any]) -> dict[str, float | str]:
    """Make the spend model's inputs of one of the original's instances; what it cannot tell is "not known".

    Ids and clocks are checked and left out: of the times only the days since install are used.

    Raises:
        BadInput: names the field that is unknown, missing or of the wrong type.
    """
    unknown = sorted(set(instance) - ORIGINAL_FIELDS)
    if unknown:
        raise BadInput(
            f"{unknown[0]!r} is not a field of the original's request; it has {', '.join(sorted(ORIGINAL_FIELDS))}"
        )
    numbers = {name: _whole(instance, name) for name in NUMBER_FIELDS}
    texts = {name: _text(instance, name) for name in TEXT_FIELDS}
    if not texts["event_name"]:
        raise BadInput("event_name is missing; give the name of the event, such as 'level_complete'")
    at = numbers["event_timestamp"]
    known = inputs_at(
        None,
        Moment(
            event_name=texts["event_name"],
            at_micros=at or 0,
            first_touch_micros=numbers["user_first_touch_timestamp"] if at else None,
            country=texts["country"],
            language=texts["language"],
            operating_system=texts["operating_system"],
        ),
    )
    return missing_inputs() | {name: known[name] for name in _FROM_THE_EVENT}


def _text(instance: Mapping[str, Any], name: str) -> str:
    value = instance.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a text, and {value!r} is not one")
    return "" if value == "NaN" else value


def _whole(instance: Mapping[str, Any], name: str) -> int | None:
    """Read a whole number, given as a text (as the original sends it) or as a JSON number."""
    value = instance.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        with suppress(ValueError):
            if abs(number := int(value)) < 2**63:
                return number
    raise BadInput(f"{name} must be a whole number of at most 64 bits, as a text or as a number; {value!r} is not one")
