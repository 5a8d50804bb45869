"""The original's request: eleven fields of the event at hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.spend.original import ORIGINAL_FIELDS, inputs_from_instance

INSTANCE = {
    "event_name": "spend_virtual_currency",
    "event_date": "2018-06-12",
    "event_timestamp": "1528816441295000",
    "event_previous_timestamp": "1528816400000000",
    "event_bundle_sequence_id": "12",
    "event_server_timestamp_offset": "-1200",
    "user_pseudo_id": "06984AB55E6069C42FE61F3510F1522B",
    "user_first_touch_timestamp": "1528730041295000",
    "operating_system": "IOS",
    "language": "en-us",
    "country": "United States",
}


def test_the_originals_eleven_fields_become_the_models_inputs() -> None:
    assert set(INSTANCE) == ORIGINAL_FIELDS
    inputs = inputs_from_instance(INSTANCE)

    assert set(inputs) == {*NUMBERS, *TEXTS}
    assert {name: inputs[name] for name in TEXTS} == {
        "event_name": "spend_virtual_currency",
        "country": "United States",
        "language": "en",
        "operating_system": "IOS",
    }
    assert inputs["days_since_install"] == 1


def test_what_the_original_cannot_tell_is_not_known() -> None:
    inputs = inputs_from_instance(INSTANCE)

    for name in set(NUMBERS) - {"days_since_install"}:
        assert math.isnan(float(inputs[name])), name


def test_ids_and_clocks_change_nothing() -> None:
    year = 365 * 86_400_000_000
    later = INSTANCE | {
        "event_timestamp": str(1528816441295000 + year),
        "user_first_touch_timestamp": str(1528730041295000 + year),
        "user_pseudo_id": "someone else",
        "event_date": "2019-06-12",
    }

    assert str(inputs_from_instance(later)) == str(inputs_from_instance(INSTANCE))


def test_numbers_are_taken_as_numbers_too() -> None:
    numbers = INSTANCE | {"event_timestamp": 1528816441295000, "user_first_touch_timestamp": 1528730041295000}

    assert str(inputs_from_instance(numbers)) == str(inputs_from_instance(INSTANCE))


@pytest.mark.parametrize("nothing", ["", None])
def test_an_empty_field_is_not_known(nothing: str | None) -> None:
    inputs = inputs_from_instance(INSTANCE | dict.fromkeys(("user_first_touch_timestamp", "country"), nothing))

    assert math.isnan(float(inputs["days_since_install"]))
    assert inputs["country"] == ""


def test_the_text_nan_is_no_system() -> None:
    assert inputs_from_instance(INSTANCE | {"operating_system": "NaN"})["operating_system"] == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_timestamp", "yesterday"),
        ("event_timestamp", 1.5),
        ("event_timestamp", True),
        ("event_timestamp", str(2**63)),
        ("event_timestamp", "9" * 5000),
        ("event_bundle_sequence_id", ["1"]),
        ("country", 7),
        ("user_pseudo_id", {"id": "x"}),
    ],
)
def test_a_wrong_type_is_told_with_its_field(field: str, value: Any) -> None:
    with pytest.raises(BadInput, match=f"^{field} must be a"):
        inputs_from_instance(INSTANCE | {field: value})


def test_an_instance_without_an_event_name_is_refused() -> None:
    with pytest.raises(BadInput, match="event_name is missing"):
        inputs_from_instance({"country": "Peru"})


def test_a_field_that_the_original_does_not_have_is_refused() -> None:
    with pytest.raises(BadInput, match="'countri' is not a field"):
        inputs_from_instance(INSTANCE | {"countri": "Peru"})
