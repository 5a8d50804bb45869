"""A mapping file says which field is which column, and everything else becomes a param."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_ingest.imports.mapping import MappedRows
from questline_ingest.imports.mapping_file import load_mapping, shipped
from questline_ingest.imports.values import Unreadable

NEEDED = """
columns:
  event_name: name
  user_pseudo_id: who.id
  event_timestamp: {field: at, format: FORMAT, zone: ZONE}
"""


def mapping(folder: Path, text: str = NEEDED, *, form: str = "iso", zone: str = "UTC") -> MappedRows:
    file = folder / "game.yaml"
    file.write_text(text.replace("FORMAT", form).replace("ZONE", zone), encoding="utf-8")
    return load_mapping(str(file))


def slots(rows: MappedRows, line: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for param in rows.event(line).event_params:
        given = param.value.ListFields()
        assert len(given) <= 1
        found[param.key] = (given[0][0].name, given[0][1]) if given else None
    return found


def test_every_field_that_no_column_takes_becomes_a_param_in_the_slot_of_its_type(tmp_path: Path) -> None:
    line = {
        "name": "e",
        "who": {"id": "p", "guild": "g"},
        "at": "2023-02-01",
        "text": "",
        "whole": 0,
        "half": 0.5,
        "yes": True,
        "nothing": None,
        "list": [1, {"é": 2**60}],
        "object": {"b": None},
        "empty": {},
    }

    assert slots(mapping(tmp_path), line) == {
        "who.guild": ("string_value", "g"),
        "text": ("string_value", ""),
        "whole": ("int_value", 0),
        "half": ("double_value", 0.5),
        "yes": ("string_value", "true"),
        "nothing": None,
        "list": ("string_value", '[1,{"é":1152921504606846976}]'),
        "object": ("string_value", '{"b":null}'),
        "empty": ("string_value", "{}"),
    }


def test_unwrapped_objects_lose_their_name_unless_two_keys_would_be_the_same(tmp_path: Path) -> None:
    rows = mapping(tmp_path, NEEDED + "unwrap: [data]\n")

    assert slots(rows, {"level": 1, "data": {"level": 2, "score": 3}}) == {
        "level": ("int_value", 1),
        "data.level": ("int_value", 2),
        "score": ("int_value", 3),
    }


def test_columns_are_filled_and_their_fields_are_no_params(tmp_path: Path) -> None:
    event = mapping(tmp_path).event({"name": "e", "who": {"id": "p"}, "at": "2023-02-01T00:00:00.000001Z"})

    assert (event.event_name, event.user_pseudo_id, event.event_timestamp) == ("e", "p", 1_675_209_600_000_001)
    assert not event.event_params


def test_a_field_that_is_missing_leaves_its_column_empty_for_the_gateway_to_reject(tmp_path: Path) -> None:
    event = mapping(tmp_path).event({"who": "nobody", "at": None})

    assert not event.HasField("event_name")
    assert not event.HasField("user_pseudo_id")
    assert [param.key for param in event.event_params] == ["who", "at"]


@pytest.mark.parametrize(
    ("form", "zone", "written", "micros"),
    [
        ("iso", "UTC", "2023-02-01 16:16:44.589000", 1_675_268_204_589_000),
        ("iso", "UTC", "2023-02-01T16:16:44", 1_675_268_204_000_000),
        ("iso", "America/Chicago", "2023-02-01 10:16:44", 1_675_268_204_000_000),
        ("iso", "America/Chicago", "2023-02-01T16:16:44Z", 1_675_268_204_000_000),
        ('"%d.%m.%Y %H:%M"', "Europe/Berlin", "01.02.2023 17:16", 1_675_268_160_000_000),
        ("seconds", "UTC", 1_675_268_204, 1_675_268_204_000_000),
        ("seconds", "UTC", 1_675_268_204.589001, 1_675_268_204_589_001),
        ("milliseconds", "UTC", 1_675_268_204_589, 1_675_268_204_589_000),
        ("microseconds", "UTC", 1_675_268_204_589_001, 1_675_268_204_589_001),
    ],
)
def test_moments_are_exact_to_the_microsecond(tmp_path: Path, form: str, zone: str, written: Any, micros: int) -> None:
    assert mapping(tmp_path, form=form, zone=zone).event({"at": written}).event_timestamp == micros


def test_a_player_who_is_a_number_keeps_every_digit(tmp_path: Path) -> None:
    assert mapping(tmp_path).event({"who": {"id": 2**63}}).user_pseudo_id == "9223372036854775808"


def test_a_day_can_be_taken_from_the_log(tmp_path: Path) -> None:
    rows = mapping(tmp_path, NEEDED + '  event_date: {field: day, format: "%d/%m/%y"}\n')

    assert rows.event({"day": "28/02/23"}).event_date == "20230228"


@pytest.mark.parametrize(
    ("form", "line", "path"),
    [
        ("iso", {"at": "noon"}, "at"),
        ("iso", {"at": 5}, "at"),
        ("seconds", {"at": "5"}, "at"),
        ("seconds", {"at": True}, "at"),
        ("iso", {"name": 5.0}, "name"),
        ("iso", {"name": True}, "name"),
        ("iso", {"big": 2**63}, "big"),
        ("iso", {"deep": {"half": "\ud800"}}, "deep"),
        ("iso", {"\udc00": 1}, "\\udc00"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_path(
    tmp_path: Path, form: str, line: dict[str, Any], path: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        mapping(tmp_path, form=form).event(line)

    assert raised.value.path == path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("columns: {event_name: name}", "columns must name a field for event_timestamp, user_pseudo_id"),
        ("a: [", "is not YAML"),
        ("just text", "it is no map of names to values; it needs columns"),
        ("", "it is empty; it needs columns that name a field for event_name"),
        ("colums: {}", "colums: Extra inputs are not permitted"),
        (NEEDED + "  geo: {form: iso}\n", "columns.geo.field: Field required"),
        (NEEDED + "  event_nam: x\n", "event_nam is no column that a field can fill"),
        (NEEDED + "  event_params: x\n", "event_params is no column that a field can fill"),
        (NEEDED + "  items.item_id: x\n", "items.item_id is no column"),
        (NEEDED + "  geo: x\n", "geo is no column"),
        (NEEDED + "  session_id: {field: s, format: iso}\n", "session_id holds no moment"),
        (NEEDED.replace("ZONE", "Mars/Olympus"), "'Mars/Olympus' is no time zone; write one such as"),
        (NEEDED.replace("FORMAT", "epoch"), "'epoch' is none of iso, seconds, milliseconds, microseconds"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_what_to_change(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput) as raised:
        mapping(tmp_path, text)

    assert says in str(raised.value)
    assert "game.yaml" in str(raised.value)


def test_a_mapping_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BadInput, match=r"wavs cannot be used: it cannot be read .*name a file, or one of waves"):
        load_mapping("wavs")


def test_every_shipped_mapping_can_be_used() -> None:
    assert "waves" in shipped()
    for name in shipped():
        load_mapping(name)


PURCHASES = """
constants: {event_name: spend_virtual_currency}
columns:
  user_pseudo_id: customer
  event_timestamp: {field: date, format: iso, zone: UTC}
params: {value: amount}
"""


def test_a_log_of_purchases_becomes_spends(tmp_path: Path) -> None:
    rows = mapping(tmp_path, PURCHASES)
    line = {"customer": "c1", "date": "2026-03-02", "amount": 12.5}

    event = rows.event(line)

    assert (event.event_name, event.user_pseudo_id) == ("spend_virtual_currency", "c1")
    assert slots(rows, line) == {"value": ("double_value", 12.5)}


def test_a_constant_is_a_text(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="event_timestamp takes no text, so it cannot be a constant"):
        mapping(tmp_path, PURCHASES.replace("constants: {", "constants: {event_timestamp: x, "))
