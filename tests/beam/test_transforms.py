"""Each step keeps what is good and gives the rest one shape."""

from __future__ import annotations

from typing import Any, Protocol

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import TaggedOutput
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from questline_beam.transforms import Arrived, Batch, RejectRows, TelemetryRows
from questline_beam.transforms.batch_rules import ApplyRule
from questline_beam.transforms.decode import decode
from questline_beam.transforms.deduplicate import without_copies
from questline_beam.transforms.rows import encode
from questline_beam.transforms.validate import validate
from questline_core.broker.port import Message
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event


class Telemetry(Protocol):
    def event(self, name: str, **fields: object) -> Event: ...
    def message(self, name: str, **fields: object) -> Message: ...
    def reject(self, payload: bytes, reason: str = "missing") -> Message: ...
    def garbage(self, data: bytes = b"") -> Message: ...


def arrived(*messages: Message) -> Arrived:
    return decode(Batch(messages))[0]


def ids(events: Arrived) -> list[Any]:
    assert len(events.messages) == events.columns.num_rows
    return events.columns["event_id"].to_pylist()


# Decode


def test_a_serialized_event_is_decoded(telemetry: Telemetry) -> None:
    events, rejects = decode(Batch([telemetry.message("a", platform="IOS")]))

    assert events.columns.select(["event_id", "platform", "user_id"]).to_pylist() == [
        {"event_id": "a", "platform": "IOS", "user_id": None}
    ]
    assert rejects == []


def test_garbage_takes_no_event_with_it_and_the_order_stays(telemetry: Telemetry) -> None:
    messages = [telemetry.message(f"e{i:02}") for i in range(20)]
    for place in (0, 7, 8, 15):
        messages.insert(place, telemetry.garbage(b"\xff%d" % place))

    events, rejects = decode(Batch(messages))

    assert ids(events) == [f"e{i:02}" for i in range(20)]
    assert [m.attributes["id"] for m in events.messages] == ids(events)
    assert [reject.payload for reject in rejects] == [b"\xff0", b"\xff7", b"\xff8", b"\xff15"]


def test_garbage_becomes_a_reject_with_its_payload(telemetry: Telemetry) -> None:
    events, (kept,) = decode(Batch([telemetry.garbage(b"\xff\xff")]))

    assert len(events) == 0
    assert (kept.payload, kept.reason, kept.source) == (b"\xff\xff", "malformed", "stream")
    assert kept.event_id == "who knows"
    assert kept.time_micros > 1_700_000_000_000_000


def test_a_reject_of_the_gateway_passes_as_it_is(telemetry: Telemetry) -> None:
    _, (kept,) = decode(Batch([telemetry.reject(b"payload", reason="too_long")]))

    assert (kept.payload, kept.reason, kept.source) == (b"payload", "too_long", "gateway")
    assert kept.time_micros == 7


def test_a_reject_that_cannot_be_read_is_rejected_itself(telemetry: Telemetry) -> None:
    broken = Message(data=b"\xff\xff", attributes={"kind": "reject", "message_id": "m9"})

    _, (kept,) = decode(Batch([broken]))

    assert kept.message_id == "m9"
    assert "is not a serialized Reject" in kept.message


# Validate


def test_an_event_that_breaks_the_contract_is_rejected_with_field_and_reason(telemetry: Telemetry) -> None:
    message = telemetry.message("a", event_name=None)

    kept, (reject,) = validate(arrived(message, telemetry.message("b")), title="untitled")

    assert ids(kept) == ["b"]
    assert (reject.reason, reject.field) == ("missing", "event_name")
    assert (reject.payload, reject.event_id, reject.title) == (message.data, "a", "quest")


def test_an_event_that_did_not_come_through_the_gateway_is_completed(telemetry: Telemetry) -> None:
    bare = telemetry.message("a", title=None, received_time=None, event_date=None, origin=None)

    kept, _ = validate(arrived(bare, telemetry.message("b")), title="untitled")

    first, second = kept.columns.to_pylist()
    assert (first["title"], first["event_date"], first["origin"]) == ("untitled", "20231114", "client")
    assert first["received_time"].year >= 2026
    assert (second["title"], second["received_time"].year) == ("quest", 2023)


def test_an_event_of_the_gateway_stays_as_it_is(telemetry: Telemetry) -> None:
    before = arrived(telemetry.message("a", origin=None))

    kept, _ = validate(before, title="untitled")

    assert kept.columns.equals(before.columns)


# Deduplicate


def test_the_first_of_several_copies_goes_on(telemetry: Telemetry) -> None:
    copies = arrived(telemetry.message("a", platform="first"), telemetry.message("b"), telemetry.message("a"))

    unique = without_copies(copies)

    assert ids(unique) == ["a", "b"]
    assert unique.columns["platform"].to_pylist() == ["first", None]


# Rows


def test_whole_numbers_reach_the_table_exactly(telemetry: Telemetry) -> None:
    edges = (-(2**63), -1, 0, 2**53 + 1, 2**63 - 1)
    messages = [
        telemetry.message(f"{i}", event_params=[{"key": "k", "value": {"int_value": edge}}])
        for i, edge in enumerate(edges)
    ]

    table, _ = encode(arrived(*messages))

    params = table["event_params"].to_pylist()
    assert params == [[{"key": "k", "value": value(edge)}] for edge in edges]


def value(number: int) -> dict[str, int | None]:
    return {"string_value": None, "int_value": number, "float_value": None, "double_value": None}


# What nobody foresaw


def refuse_seven(batch: Batch[Message]) -> tuple[Batch[Message], Batch[Reject]]:
    if any(message.data == b"7" for message in batch):
        raise ArithmeticError("seven")
    return batch, Batch()


def test_a_message_that_breaks_a_rule_is_rejected_alone() -> None:
    step = ApplyRule(refuse_seven)
    batch = Batch(Message(data=b"%d" % number, attributes={"message_id": f"m{number}"}) for number in range(10))

    results = list(step.process(batch))

    kept = [message.data for part in results if isinstance(part, Batch) for message in part]
    ((reject,),) = [result.value for result in results if isinstance(result, TaggedOutput)]
    assert kept == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"8", b"9"]
    assert (reject.message_id, reject.payload, reject.reason) == ("m7", b"7", "unprocessable")
    assert "ArithmeticError: seven" in reject.message


# The composite, as any runner runs it


def test_the_composite_takes_batches_and_gives_tables(telemetry: Telemetry) -> None:
    batches = [
        Batch([telemetry.message("a"), telemetry.message("a"), telemetry.garbage()]),
        Batch([telemetry.reject(b"x"), telemetry.message("b")]),
    ]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        output = pipeline | beam.Create(batches) | TelemetryRows(title="untitled")
        ids = output.rows | "Ids" >> beam.FlatMap(column, "event_id")
        reasons = output.rejects | RejectRows() | "Reasons" >> beam.FlatMap(column, "reason")
        assert_that(ids, equal_to(["a", "b"]), label="rows")
        assert_that(reasons, equal_to(["malformed", "missing"]), label="rejects")
        assert_that(output.duplicates, equal_to([1]), label="duplicates")


def column(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist()
