"""What a literal of a statement may be: a phrase for people, and a check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """The values that one setting of a function takes."""

    allowed: str
    """What goes after "is" in a sentence, such as "a number from 0 to 1"."""
    fits: Callable[[Any], bool]

    def refusal(self, name: str, value: Any) -> str:
        """Say that a value does not fit."""
        return f"{name} is {self.allowed}, not {spelled(value)}"


def is_number(value: Any) -> bool:
    """Tell whether a literal is INT64 or FLOAT64, and finite."""
    return type(value) in (int, float) and math.isfinite(value)


def whole(least: int, most: int | None = None) -> Literal:
    """Take a whole number within limits."""
    return Literal(
        f"a whole number from {least}" + (f" to {most}" if most is not None else ""),
        lambda value: type(value) is int and least <= value and (most is None or value <= most),
    )


def one_of(*choices: str) -> Literal:
    """Take one of several words, in any case."""
    phrase = " or ".join([", ".join(f"'{choice}'" for choice in choices[:-1]), f"'{choices[-1]}'"])
    return Literal(phrase, lambda value: isinstance(value, str) and value.lower() in choices)


FLAG = Literal("TRUE or FALSE", lambda value: isinstance(value, bool))
TEXT = Literal("a text", lambda value: isinstance(value, str))
FRACTION = Literal("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)


def spelled(value: Any) -> str:
    """Write a literal as in GoogleSQL."""
    if value is None or isinstance(value, bool):
        return "NULL" if value is None else str(value).upper()
    if isinstance(value, list):
        return f"[{', '.join(map(spelled, value))}]"
    if isinstance(value, (tuple, dict)):
        items = [f"{spelled(v)} AS {k}" for k, v in value.items()] if isinstance(value, dict) else map(spelled, value)
        return f"STRUCT({', '.join(items)})"
    return repr(value)
