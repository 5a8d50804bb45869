"""Take a JSON value into a column exactly, or say why it does not fit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from questline_core.errors import BadInput
from questline_core.events.columns import Kind

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|-?Infinity|NaN")
_MIN, _MAX = -(2**63), 2**63 - 1


class Unreadable(BadInput):
    """Raised when a line, or a value in it, cannot become an event."""

    def __init__(self, problem: str, *, path: str = "") -> None:
        # A name in the line may hold half a surrogate pair, which can be neither printed nor written to a file.
        path = path.encode(errors="backslashreplace").decode()
        super().__init__(f"{path} {problem}" if path else problem)
        self.problem, self.path = problem, path


def take(kind: Kind, value: Any, path: str) -> Any:
    """Convert a JSON value that is not null to what a protobuf field of this kind takes.

    Whole numbers may be text, as BigQuery's own export writes them. Nothing is rounded.

    Raises:
        Unreadable: the value has another type, or does not fit.
    """
    try:
        return _TAKE[kind](value)
    except Unreadable as error:
        raise Unreadable(error.problem, path=path) from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"is {shown(value)}, but this column is text; put it in quotes")
    if not value.isascii():
        _refuse_half_characters(value)
    return value


def _refuse_half_characters(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unreadable(f"is {shown(value)}, which is not Unicode: half of a surrogate pair is missing") from None


def _whole(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"is {shown(value)}, but this column holds whole numbers, written without point or exponent")
    if not _MIN <= value <= _MAX:
        raise Unreadable(f"is {shown(value)}, which does not fit in 64 bits")
    return value


def _float(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unreadable(f"is {shown(value)}, but this column holds numbers")
    if isinstance(value, float):
        if math.isinf(value):
            raise Unreadable('is too large for a 64-bit number; an infinity is written "Infinity"')
        return value
    if abs(value) > 2**1023 or int(float(value)) != value:
        raise Unreadable(f"is {shown(value)}, a whole number that a FLOAT cannot hold exactly")
    return float(value)


def _bool(value: Any) -> bool:
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    if not isinstance(value, bool):
        raise Unreadable(f"is {shown(value)}, but this column is true or false")
    return value


_TAKE: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.STRING: _text,
    Kind.DATE: _text,  # its form is checked with the rest of the contract
    Kind.INTEGER: _whole,
    Kind.TIMESTAMP: _whole,
    Kind.FLOAT: _float,
    Kind.BOOLEAN: _bool,
}


def shown(value: Any) -> str:
    """Show a JSON value in a message, in at most a few words."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 - what fits in a sentence
