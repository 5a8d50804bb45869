"""What is in a message comes out of the table bit by bit, by way of Arrow, Parquet and DuckDB."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from questline_core.errors import BadInput
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX, MIN = 2**63 - 1, -(2**63)
WHOLE = [MAX, MIN, MAX - 1, 9_220_000_000_000_000_000, -9_220_000_000_000_000_000, 2**53 + 1, -(2**53) - 1, 0, -1, 1]


def event(**fields: Any) -> Event:
    needed: dict[str, Any] = {
        "event_id": "e1",
        "title": "flood",
        "received_time": 1_700_000_000_000_000,
        "event_date": "20231114",
        "event_timestamp": 1_700_000_000_000_001,
        "event_name": "level_up",
        "user_pseudo_id": "p1",
    }
    return Event(**(needed | fields))


def through_parquet(events: Sequence[Event], folder: Path, sql: str) -> list[tuple[Any, ...]]:
    pq.write_table(to_table(Event, events), folder / "events.parquet")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW events AS FROM read_parquet('{folder}/events.parquet')")
        return connection.execute(sql).fetchall()


def test_whole_numbers_come_out_of_the_table_exactly(tmp_path: Path) -> None:
    events = [event(event_bundle_sequence_id=n, event_params=[{"key": "n", "value": {"int_value": n}}]) for n in WHOLE]

    rows = through_parquet(
        events, tmp_path, "SELECT event_bundle_sequence_id, event_params[1].value.int_value FROM events"
    )

    assert rows == [(n, n) for n in WHOLE]


def test_floats_come_out_of_the_table_bit_by_bit(tmp_path: Path) -> None:
    floats = [0.0, -0.0, 0.1, 5e-324, 1.7976931348623157e308, -2.5, math.inf, -math.inf, math.nan]
    events = [event(event_value_in_usd=f, event_params=[{"key": "f", "value": {"double_value": f}}]) for f in floats]

    rows = through_parquet(
        events, tmp_path, "SELECT event_value_in_usd, event_params[1].value.double_value FROM events"
    )

    assert [(bits(a), bits(b)) for a, b in rows] == [(bits(f), bits(f)) for f in floats]


def test_null_stays_null_and_zero_stays_zero_and_empty_text_stays_empty(tmp_path: Path) -> None:
    events = [
        event(),
        event(event_value_in_usd=0.0, user_id="", is_test=False, batch_page_id=0),
        event(event_value_in_usd=1.5, user_id="u", is_test=True, batch_page_id=7),
    ]

    rows = through_parquet(events, tmp_path, "SELECT event_value_in_usd, user_id, is_test, batch_page_id FROM events")

    assert rows == [(None, None, None, None), (0.0, "", False, 0), (1.5, "u", True, 7)]


def test_a_record_that_was_not_given_is_null_and_an_empty_one_is_not(tmp_path: Path) -> None:
    empty = event()
    empty.geo.SetInParent()

    rows = through_parquet(
        [event(), empty, event(geo={"city": ""})], tmp_path, "SELECT geo IS NULL, geo.city FROM events"
    )

    assert rows == [(True, None), (False, None), (False, "")]


def test_a_list_that_was_not_given_is_empty_and_not_null(tmp_path: Path) -> None:
    rows = through_parquet(
        [event()], tmp_path, "SELECT len(event_params), len(user_properties), len(items) FROM events"
    )

    assert rows == [(0, 0, 0)]


def test_params_stay_with_their_event_and_in_their_order(tmp_path: Path) -> None:
    events = [
        event(event_params=[{"key": "a", "value": {"string_value": ""}}, {"key": "b", "value": {"int_value": 0}}]),
        event(),
        event(event_params=[{"key": "c"}], items=[{"item_id": "i", "item_params": [{"key": "d"}]}]),
    ]

    rows = through_parquet(events, tmp_path, "SELECT event_params, [i.item_params for i in items] FROM events")

    value = {"string_value": None, "int_value": None, "float_value": None, "double_value": None}
    assert rows == [
        ([{"key": "a", "value": value | {"string_value": ""}}, {"key": "b", "value": value | {"int_value": 0}}], []),
        ([], []),
        ([{"key": "c", "value": None}], [[{"key": "d", "value": None}]]),
    ]


def test_times_and_days_are_timestamps_and_dates(tmp_path: Path) -> None:
    events = [event(client_time=-1, event_date="19700101"), event(client_time=0, event_date="20240229")]

    rows = through_parquet(
        events, tmp_path, "SELECT epoch_us(client_time), event_date, typeof(client_time) FROM events"
    )

    assert rows == [
        (-1, date(1970, 1, 1), "TIMESTAMP WITH TIME ZONE"),
        (0, date(2024, 2, 29), "TIMESTAMP WITH TIME ZONE"),
    ]


def test_a_batch_of_nothing_is_a_table_without_rows() -> None:
    table = to_table(Event, [])

    assert table.num_rows == 0
    assert table.schema == arrow_schema(Event)


def test_rejects_are_stored_byte_by_byte() -> None:
    payload = bytes(range(256))

    table = to_table(Reject, [Reject(payload=payload, reason="malformed", time_micros=MAX), Reject()])

    assert table.schema == arrow_schema(Reject)
    assert table["payload"].to_pylist() == [payload, b""]
    assert table["time_micros"].to_pylist() == [MAX, 0]


def test_an_event_date_that_is_no_day_names_the_event() -> None:
    with pytest.raises(BadInput, match=r"event 'bad' \(number 1 of this batch\).*event_date is '20230230'"):
        to_table(Event, [event(), event(event_id="bad", event_date="20230230")])


def test_a_missing_required_column_names_the_event_and_the_column() -> None:
    bad = event(event_id="bad")
    bad.ClearField("user_pseudo_id")

    with pytest.raises(
        BadInput, match=r"event 'bad' \(number 0 of this batch\) cannot be stored: user_pseudo_id is missing"
    ):
        to_table(Event, [bad])


def bits(number: float) -> bytes:
    return b"nan" if math.isnan(number) else struct.pack("<d", number)


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_INT64: st.integers(MIN, MAX),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
}
DAYS = st.dates().map(lambda day: day.isoformat().replace("-", ""))
MICROS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
SPECIAL = {"event_date": DAYS, "client_time": MICROS, "received_time": MICROS}


def class_of(field: Any) -> type[Message]:
    return GetMessageClass(field.message_type)


@st.composite
def messages(draw: st.DrawFn, kind: type[Message] = Event) -> Any:
    """Any message: each field is given or not, independently."""
    message: Any = kind()
    for field in kind.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        if field.message_type is None:
            setattr(message, field.name, draw(SPECIAL.get(field.name, VALUES.get(field.type, TEXT))))
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(messages(class_of(field)), max_size=2)))
        else:
            getattr(message, field.name).CopyFrom(draw(messages(class_of(field))))
    return message


def complete(message: Event) -> Event:
    filled = event()
    filled.MergeFrom(message)
    return filled


def expected(message: Message) -> dict[str, Any]:
    """The row of a message, made in the slowest and plainest way."""
    row: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.is_repeated:
            row[field.name] = [expected(part) for part in value]
        elif not message.HasField(field.name):
            row[field.name] = None
        elif field.name == "event_date":
            row[field.name] = date(int(value[:4]), int(value[4:6]), int(value[6:]))
        elif field.name in {"client_time", "received_time"}:
            row[field.name] = EPOCH + timedelta(microseconds=value)
        else:
            row[field.name] = expected(value) if field.message_type else same(value)
    if isinstance(message, Event):
        row["clock_ahead"] = message.event_timestamp > message.received_time + 23 * 3_600_000_000
    return row


def same(value: Any) -> Any:
    return bits(value) if isinstance(value, float) else value


def as_compared(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_compared(part) for name, part in value.items()}
    return [as_compared(part) for part in value] if isinstance(value, list) else same(value)


@settings(deadline=None, max_examples=40)
@given(st.lists(messages(), max_size=4))
def test_any_events_are_the_same_in_the_table(some: list[Event]) -> None:
    events = [complete(message) for message in some]

    table = to_table(Event, events)

    table.validate(full=True)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    back = pq.read_table(pa.BufferReader(sink.getvalue()))
    assert back.schema.remove_metadata() == arrow_schema(Event)
    assert as_compared(back.to_pylist()) == [expected(message) for message in events]


def test_a_row_says_that_its_clock_was_more_than_23_hours_ahead_whatever_the_client_says() -> None:
    came, hour = 1_700_000_000_000_000, 3_600_000_000
    events = [
        Event(
            event_id=f"{hours}",
            title="quest",
            received_time=came,
            event_date="20231114",
            event_timestamp=came + hours * hour + over,
            event_name="level_up",
            user_pseudo_id="player",
            clock_ahead=claimed,
        )
        for hours, over, claimed in ((0, 0, True), (23, 0, True), (23, 1, False), (-99, 0, None))
    ]

    assert to_table(Event, events)["clock_ahead"].to_pylist() == [False, False, True, False]
