"""Days: where one ends, and how people name them."""

from __future__ import annotations

from datetime import date

import pytest

from questline_core.errors import BadInput
from questline_core.events.days import DAY_US, day_number, day_of, days_named


@pytest.mark.parametrize(
    ("time_us", "day"),
    [
        (0, "19700101"),
        (DAY_US - 1, "19700101"),
        (DAY_US, "19700102"),
        (-1, "19691231"),
        (1_709_251_199_999_999, "20240229"),
        (1_709_251_200_000_000, "20240301"),
    ],
)
def test_a_day_begins_with_its_first_microsecond_in_utc(time_us: int, day: str) -> None:
    assert day_of(time_us) == day
    assert day_number(day) == time_us // 86_400_000_000


@pytest.mark.parametrize("text", ["", "20240230", "2024-02-29", "202402291", "٢٠٢٤٠٢٢٩"])
def test_what_is_no_day_has_no_number(text: str) -> None:
    assert day_number(text) is None


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2024-02-29", [date(2024, 2, 29)]),
        ("2024-02-28..2024-03-01", [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]),
        ("2024-02-29 2024-02-28..2024-02-29", [date(2024, 2, 29), date(2024, 2, 28)]),
        ("2024-02-29..2024-02-29", [date(2024, 2, 29)]),
    ],
)
def test_days_are_named_one_by_one_or_from_the_first_to_the_last(text: str, days: list[date]) -> None:
    assert days_named(text) == days


@pytest.mark.parametrize(
    ("text", "says"), [(" ", "no day is named"), ("yesterday", "is no day"), ("2024-03-01..2024-02-28", "earlier day")]
)
def test_days_that_are_none_are_told(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        days_named(text)
