"""Read moments and days as logs write them, exactly to the microsecond."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from questline_ingest.imports.values import Unreadable, shown

UNITS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
"""Formats of a moment that is a number, and the microseconds in each unit."""
ISO = "iso"
"""Format of a moment that is text of the form 2023-02-01T16:16:44.589Z."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_reader(form: str, zone: tzinfo) -> Callable[[Any, str], int]:
    """Make a reader that takes a JSON value to microseconds since 1970-01-01 UTC.

    Args:
        form: `iso`, a unit, or a pattern as `datetime.strptime` takes it.
        zone: of moments that name none.
    """
    if form in UNITS:
        return lambda value, path: _from_number(value, UNITS[form], path)
    return lambda value, path: (_parsed(value, form, zone, path) - _EPOCH) // timedelta(microseconds=1)


def day_reader(form: str, zone: tzinfo) -> Callable[[Any, str], str]:
    """Make a reader that takes a JSON value to its day as YYYYMMDD, as it stands in the text."""
    return lambda value, path: _parsed(value, form, zone, path).date().isoformat().replace("-", "")


def _from_number(value: Any, unit_us: int, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"is {shown(value)}, but the mapping says that it is a number", path=path)
    # A float's shortest text is what the log wrote; to multiply the float itself would round it again.
    return int((Decimal(repr(value)) * unit_us).to_integral_value()) if value == value else 0  # noqa: PLR0124


def _parsed(value: Any, form: str, zone: tzinfo, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if form == ISO else datetime.strptime(value, form)  # noqa: DTZ007
    except (TypeError, ValueError):
        raise Unreadable(
            f"is {shown(value)}, which is not of the form {form!r} that the mapping names", path=path
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
