"""Days as GA4 writes them: text of the form YYYYMMDD."""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import lru_cache

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
