"""Where in a statement something is wrong: the error's text begins with the line and the column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlglot.errors import TokenError

from questline_core.errors import BadInput, MissingExtra, NotReady

EMPTY = "line 1, column 1: the query is empty; write one, such as SELECT 1"
_PLACE = re.compile(r"line \d+, column \d+: ")
_OPENING = re.compile(r"['\"`]|/\*")


def place_at(text: str, offset: int) -> str:
    """Tell the line and the column of a character."""
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - text.rfind(chr(10), 0, offset)}"


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put a place before the text of an error that tells none."""
    try:
        yield
    except (BadInput, NotReady, MissingExtra) as error:
        if _PLACE.match(str(error)):
            raise
        if isinstance(error, MissingExtra):
            raise MissingExtra(f"{place}: {error.what}", error.extra) from error
        raise type(error)(f"{place}: {error}") from error


def without_place(error: BadInput) -> str:
    """Give an error's sentence alone, for a place that would be one in another text."""
    return _PLACE.sub("", str(error), count=1)


def unclosed(text: str, tokens: Callable[[str], object]) -> BadInput:
    """Make the error for a text that `tokens` cannot cut into words, because a quote or a comment does not end."""
    for opening in reversed(list(_OPENING.finditer(text))):
        try:
            tokens(text[: opening.start()])
        except TokenError:
            continue
        mark = opening.group()
        what = "this comment; close it by */" if mark == "/*" else f"this text; close it by {mark}"
        return BadInput(f"{place_at(text, opening.start())}: nothing ends {what}")
    return BadInput("line 1, column 1: this is not GoogleSQL: it cannot be cut into words")
