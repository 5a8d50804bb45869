"""Python values become parameters of the type that GoogleSQL has for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.warehouse.bigquery.parameters import parameters_of

NOON = datetime(2020, 1, 2, 12, tzinfo=UTC)


def wire(value: Any) -> tuple[Any, Any]:
    (parameter,) = parameters_of({"p": value}).typed
    resource = parameter.to_api_repr()
    assert resource["name"] == "p"
    return resource["parameterType"], resource["parameterValue"]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (True, "BOOL", "true"),
        (2**63 - 1, "INT64", "9223372036854775807"),
        (0.1, "FLOAT64", 0.1),
        ("a'b", "STRING", "a'b"),
        (b"\x00", "BYTES", "AA=="),
        (NOON, "TIMESTAMP", "2020-01-02 12:00:00+00:00"),
        (date(2020, 1, 2), "DATE", "2020-01-02"),
        (time(1, 2), "TIME", "01:02:00"),
        (Decimal("1.5"), "NUMERIC", "1.5"),
        (Decimal("0.0000000001"), "BIGNUMERIC", "1E-10"),
    ],
)
def test_a_value_has_its_type(value: Any, kind: str, text: Any) -> None:
    assert wire(value) == ({"type": kind}, {"value": text})


def test_lists_are_arrays_and_mappings_are_structs() -> None:
    assert wire([1, 2]) == (
        {"type": "ARRAY", "arrayType": {"type": "INT64"}},
        {"arrayValues": [{"value": "1"}, {"value": "2"}]},
    )
    kind, value = wire([{"day": date(2020, 1, 2), "ids": ["a"]}])
    assert [part["name"] for part in kind["arrayType"]["structTypes"]] == ["day", "ids"]
    assert value["arrayValues"][0]["structValues"]["ids"] == {"arrayValues": [{"value": "a"}]}


def test_what_tells_no_type_is_left_to_the_query() -> None:
    assert parameters_of({"a": None, "b": [], "c": 1}).untyped == ("a", "b")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (datetime(2020, 1, 2), "without a time zone"),  # noqa: DTZ001 - that is the case
        (2**63, "is no GoogleSQL value"),
        (Decimal("NaN"), "is no GoogleSQL value"),
        (object(), "is no GoogleSQL value"),
        ([1, "a"], "a list of different types"),
        ([1, None], "with None in it"),
        ([[1]], "a list of lists"),
        ([{"a": 1}, {"a": "x"}], "fields or types differ"),
    ],
)
def test_what_googlesql_does_not_have_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(BadInput, match=f"the parameter p .*{problem}"):
        parameters_of({"p": value})
