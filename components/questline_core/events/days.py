"""Days as GA4 writes them, text of the form YYYYMMDD, and as people do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

from questline_core.errors import BadInput

DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_DAY = re.compile("[0-9]{8}")


@lru_cache(maxsize=4096)
def day_number(text: str) -> int | None:
    """Count the days from 1970-01-01 to a day; None when the text is no day of the form YYYYMMDD."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return (date(int(text[:4]), int(text[4:6]), int(text[6:])) - _EPOCH).days
    except ValueError:
        return None


def day_of(time_us: int) -> str:
    """Tell the UTC day of a moment in microseconds since 1970-01-01 UTC, as YYYYMMDD."""
    return _day_text(time_us // DAY_US)


@lru_cache(maxsize=4096)
def _day_text(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat().replace("-", "")


def days_named(text: str) -> list[date]:
    """Read days that a person named: YYYY-MM-DD or FIRST..LAST, with spaces between; each day once.

    Raises:
        BadInput: there is no day, a word is none, or a span ends before it begins.
    """
    if not text.strip():
        raise BadInput("no day is named; write YYYY-MM-DD, or FIRST..LAST")
    return list(dict.fromkeys(day for word in text.split() for day in _span(word)))


def _span(text: str) -> Iterator[date]:
    first, _, last = text.partition("..")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise BadInput(f"{text!r} is no day; write YYYY-MM-DD, or FIRST..LAST") from None
    if end < begin:
        raise BadInput(f"{text!r} ends before it begins; write the earlier day first")
    yield from (begin + timedelta(days=number) for number in range((end - begin).days + 1))
