"""Rows of a GA4 export become events that hold exactly what the row holds, or an error that says what to do."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.lines import parse
from questline_ingest.imports.values import Unreadable

MAX, MIN = 2**63 - 1, -(2**63)


def read(line: str, *, skip_unknown: bool = False) -> Event:
    return Ga4Rows(skip_unknown=skip_unknown).event(parse(line.encode()))


def param(slot: str) -> str:
    return f'{{"event_params": [{{"key": "k", "value": {slot}}}]}}'


@pytest.mark.parametrize("number", [MAX, MIN, 2**53 + 1, -(2**53) - 1, 0, -1])
@pytest.mark.parametrize("quote", ["", '"'], ids=["number", "text"])
def test_whole_numbers_are_exact_as_numbers_and_as_text(number: int, quote: str) -> None:
    event = read(param(f'{{"int_value": {quote}{number}{quote}}}'))

    assert event.event_params[0].value.int_value == number
    assert event.event_params[0].value.HasField("int_value")


def test_a_number_in_the_string_slot_stays_text() -> None:
    value = read(param('{"string_value": "3"}')).event_params[0].value

    assert value.string_value == "3"
    assert not value.HasField("int_value")


def test_nulls_are_not_given_and_empty_texts_are() -> None:
    event = read('{"user_id": null, "user_ltv": null, "stream_id": "", "geo": {"city": null}, "event_value_in_usd": 0}')

    assert not event.HasField("user_id")
    assert not event.HasField("user_ltv")
    assert event.HasField("stream_id")
    assert event.HasField("geo")
    assert not event.geo.HasField("city")
    assert event.HasField("event_value_in_usd")


@pytest.mark.parametrize(
    ("written", "number"),
    [("0.1", 0.1), ("3", 3.0), ('"2.5e-3"', 0.0025), ('"Infinity"', math.inf), ('"-Infinity"', -math.inf)],
)
def test_floats_come_as_numbers_or_text(written: str, number: float) -> None:
    assert read(param(f'{{"double_value": {written}}}')).event_params[0].value.double_value == number


def test_the_text_nan_in_a_float_slot_is_nan() -> None:
    assert math.isnan(read(param('{"double_value": "NaN"}')).event_params[0].value.double_value)


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("false", False), ('"true"', True), ('"false"', False)])
def test_booleans_come_as_such_or_as_text(written: str, meant: bool) -> None:
    assert read(f'{{"is_active_user": {written}}}').is_active_user is meant


@pytest.mark.parametrize(
    ("line", "path", "says"),
    [
        (
            param('{"int_value": 1e300}'),
            "event_params[0].value.int_value",
            "is 1e+300, but this column holds whole numbers",
        ),
        (param('{"int_value": 1.0}'), "event_params[0].value.int_value", "without point or exponent"),
        (param('{"int_value": "1.0"}'), "event_params[0].value.int_value", "whole numbers"),
        (param('{"int_value": true}'), "event_params[0].value.int_value", "is true, but"),
        (param(f'{{"int_value": {MAX + 1}}}'), "event_params[0].value.int_value", "does not fit in 64 bits"),
        (param(f'{{"int_value": "{MIN - 1}"}}'), "event_params[0].value.int_value", "does not fit in 64 bits"),
        (param('{"string_value": 3}'), "event_params[0].value.string_value", "this column is text; put it in quotes"),
        (param('{"string_value": "\\ud800"}'), "event_params[0].value.string_value", "surrogate"),
        (param('{"double_value": "many"}'), "event_params[0].value.double_value", "this column holds numbers"),
        (param('{"double_value": 1e999}'), "event_params[0].value.double_value", "too large"),
        (param(f'{{"double_value": {2**53 + 1}}}'), "event_params[0].value.double_value", "cannot hold exactly"),
        (param(f'{{"double_value": {10**400}}}'), "event_params[0].value.double_value", "cannot hold exactly"),
        (param("[]"), "event_params[0].value", "is a list, but this column is an object"),
        ('{"event_params": {"k": 1}}', "event_params", "is an object, but this column is a list"),
        ('{"event_params": [null]}', "event_params[0]", "but this column is an object"),
        ('{"geo": "Paris"}', "geo", "is 'Paris', but this column is an object"),
        ('{"event_date": 20180612}', "event_date", "put it in quotes"),
        ('{"is_active_user": 1}', "is_active_user", "is true or false"),
        ('{"items": [{"item_colour": "red"}]}', "items[0].item_colour", "leave it out with --skip-unknown"),
        ('{"event_params": [{"name": "k"}]}', "event_params[0].name", "is no column of the event contract"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_path_and_what_to_do(line: str, path: str, says: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(line)

    assert raised.value.path == path
    assert says in str(raised.value)
    assert str(raised.value).startswith(path)


@pytest.mark.parametrize("nothing", [None, {}, [], {"campaign": {"id": None}, "list": []}])
def test_an_unknown_column_that_holds_nothing_is_no_error(nothing: Any) -> None:
    assert read(json.dumps({"event_name": "e", "sa360_campaign": nothing})).event_name == "e"


def test_unknown_columns_are_left_out_and_named_when_that_is_wished() -> None:
    rows = Ga4Rows(skip_unknown=True)

    event = rows.event(
        {"event_name": "e", "geo": {"planet": "Earth"}, "items": [{"colour": "red"}, {"colour": "blue"}]}
    )

    assert event.event_name == "e"
    assert rows.skipped == {"geo.planet", "items.colour"}
