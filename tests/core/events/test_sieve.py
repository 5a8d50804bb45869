"""Whole columns are asked what the rules ask of one event, and never let through what the rules refuse."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError

from questline_core.events.checks import check, complete
from questline_core.events.rows import to_table
from questline_core.events.sieve import ahead, completed, doubtful, first_of_each, late
from questline_core.events.wire import read
from questline_core.pb.telemetry_pb2 import Event

RIGHT: dict[str, Any] = {
    "event_id": "e",
    "event_name": "level_up",
    "user_pseudo_id": "p",
    "event_timestamp": 1_700_000_000_000_000,
    "event_params": [{"key": "k"}],
}
WRONG: list[dict[str, Any]] = [
    {"event_id": ""},
    {"event_id": None},
    {"event_id": "x" * 129},
    {"event_id": "a\nb"},
    {"event_name": "n" * 129},
    {"user_pseudo_id": "ü" * 257},
    {"title": "t" * 65},
    {"title": "\x7f"},
    {"event_timestamp": None},
    {"event_timestamp": 1_700_000_000},
    {"client_time": 2**62},
    {"event_date": "20230230"},
    {"event_params": [{"key": "k"}] * 257},
    {"event_params": [{"key": "k"}, {}]},
    {"user_properties": [{"key": "k" * 129}]},
    {"items": [{}] * 257},
    {"user_id": "u" * 65_537},
]


def event(**fields: Any) -> Event:
    return Event(**{name: value for name, value in (RIGHT | fields).items() if value is not None})


def rows_in_doubt(events: list[Event]) -> list[int]:
    payloads = [given.SerializeToString() for given in events]
    return doubtful(read(Event, payloads), [len(payload) for payload in payloads])


@pytest.mark.parametrize("fields", WRONG, ids=lambda fields: next(iter(fields)))
def test_what_breaks_a_rule_is_in_doubt_and_takes_no_other_with_it(fields: dict[str, Any]) -> None:
    wrong = event(**fields)
    assert check(wrong) is not None

    assert rows_in_doubt([event(), wrong, event(event_date="20231114", client_time=0)]) == [1]


def test_what_lies_just_within_a_limit_is_not_in_doubt() -> None:
    full = event(
        event_id="x" * 128,
        event_name="n\n" * 64,
        user_pseudo_id="ü" * 256,
        title="t" * 64,
        event_params=[{"key": "k"}] * 256,
        user_properties=[{"key": "ж" * 128}],
    )

    assert rows_in_doubt([full, event()]) == []


def test_columns_are_completed_as_one_event_is() -> None:
    events = [
        event(),
        event(title="mine", received_time=5),
        event(title="mine", received_time=5, event_date="20200101"),
    ]
    found = completed(read(Event, [given.SerializeToString() for given in events]), title="untitled", now_us=7)

    for given in events[:2]:
        complete(given, title="untitled", received_time=given.received_time or 7)
    expected = to_table(Event, events).drop_columns(["event_date", "clock_ahead"])
    assert found.drop_columns(["event_date", "clock_ahead"]).to_pylist() == expected.to_pylist()
    assert found["event_date"].to_pylist() == [given.event_date for given in events]


def test_without_a_time_of_arrival_an_event_of_the_archive_came_at_its_own() -> None:
    data = [event().SerializeToString(), event(received_time=5).SerializeToString()]

    found = completed(read(Event, data), title="t", now_us=None)

    assert found["received_time"].cast(pa.int64()).to_pylist() == [RIGHT["event_timestamp"], 5]


def test_only_the_first_of_equal_ids_counts() -> None:
    assert first_of_each(pa.chunked_array([["a", "b", "a"], ["c", "b"]])) == [0, 1, 3]
    assert first_of_each(pa.chunked_array([["a", "b"]])) is None


def test_a_client_is_late_after_72_hours_and_ahead_after_23() -> None:
    hour, time = 3_600_000_000, RIGHT["event_timestamp"]
    came = [("client", 72 * hour), ("client", 72 * hour + 1), ("import", 99 * hour), ("client", -24 * hour)]
    events = [event(origin=origin) for origin, _ in came]
    for given, (_, delay) in zip(events, came, strict=True):
        complete(given, title="t", received_time=time + delay)
    table = to_table(Event, events)

    assert (late(table), ahead(table)) == (1, 1)
    assert (late(table.slice(0, 0)), ahead(table.slice(0, 0))) == (0, 0)


def test_any_bytes_are_an_event_or_refused_as_none() -> None:
    chance, whole = (
        random.Random(5),
        event(geo={"city": "x"}, device={"web_info": {"browser": "b"}}).SerializeToString(),
    )
    refused = 0
    for _ in range(3_000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read(Event, [bytes(data)])
        except DecodeError:
            refused += 1
    assert 0 < refused < 3_000


def test_a_record_in_two_pieces_is_the_sum_of_both() -> None:
    pieces = [event(geo={"city": "x"}), event(geo={"country": "y"}, device={"category": "phone"})]
    data = b"".join(piece.SerializeToString() for piece in pieces)

    (row,) = read(Event, [data, b""]).slice(0, 1).to_pylist()

    assert (row["geo"]["city"], row["geo"]["country"], row["device"]["category"]) == ("x", "y", "phone")
