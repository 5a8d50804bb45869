from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from structlog.testing import capture_logs

from questline_core.broker.port import EVENT, REJECT
from questline_core.errors import BrokerFull
from questline_core.events.checks import MAX_EVENT_BYTES
from questline_core.events.wire import read
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.metrics import Metrics
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.server import opened_gateway, running
from questline_ingest.servicer import SERVICE
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import ModelServer, an_event, serving

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FULL = BrokerFull("the spool", "the disk is full", retry_after_s=1.5)


def request(*events: Event) -> pb.SendRequest:
    return pb.SendRequest(events=events)


def outcomes(response: pb.SendResponse) -> list[str]:
    return [pb.Outcome.Name(answer.outcome) for answer in response.answers]


def stored(broker: MemoryBroker) -> list[Event]:
    return [Event.FromString(m.data) for m in broker.published if m.attributes["kind"] == EVENT]


def kept(broker: MemoryBroker) -> list[Reject]:
    return [Reject.FromString(m.data) for m in broker.published if m.attributes["kind"] == REJECT]


async def send_raw(channel: grpc.aio.Channel, raw: bytes) -> pb.SendResponse:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, pb.SendResponse] = channel.unary_unary(
        f"/{SERVICE}/Send", request_serializer=bytes, response_deserializer=pb.SendResponse.FromString
    )
    return await call(raw)


async def test_every_event_gets_its_verdict_in_the_order_of_the_call(stub: IngestAsyncStub) -> None:
    good, copy, bad = an_event(), an_event(), an_event(event_name="")
    await stub.Send(request(copy))

    response = await stub.Send(request(bad, copy, good))

    assert outcomes(response) == ["REJECTED", "DUPLICATE", "ACCEPTED"]
    assert [answer.event_id for answer in response.answers] == [bad.event_id, copy.event_id, good.event_id]
    assert (response.answers[0].problem.reason, response.answers[0].problem.field) == ("missing", "event_name")


async def test_the_answer_comes_after_the_event_is_durable(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.slow_s = 0.3
    call = asyncio.ensure_future(stub.Send(request(an_event("a"))))
    await asyncio.sleep(0.15)
    assert not call.done()
    assert not broker.published

    await call

    assert [event.event_id for event in stored(broker)] == ["a"]


async def test_the_server_fills_in_what_it_knows(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    before = time.time_ns() // 1000
    await stub.Send(request(an_event("a", received_time=1)), metadata=[("traceparent", TRACE)])

    (event,) = stored(broker)
    assert before <= event.received_time <= time.time_ns() // 1000
    assert (event.title, event.event_date, event.trace) == ("game", "20270115", TRACE)
    assert broker.published[0].attributes == {
        "kind": "event",
        "id": "a",
        "name": "level_end",
        "time": str(event.received_time // 1000),
        "trace": TRACE,
    }


async def test_the_clients_bytes_are_stored_as_they_came_and_what_only_the_gateway_may_set_is_overwritten(
    channel: grpc.aio.Channel, broker: MemoryBroker
) -> None:
    from_a_newer_client = b"\x9a\x7d\x03new"
    payload = an_event("a", received_time=1, title="mine").SerializeToString() + from_a_newer_client

    await send_raw(channel, pb.SendRequest(events=[Event.FromString(payload)]).SerializeToString())

    data = broker.published[0].data
    assert data.startswith(payload)
    row = read(Event, [data]).to_pylist()[0]
    received = timedelta(microseconds=Event.FromString(data).received_time)
    assert row["received_time"] - datetime(1970, 1, 1, tzinfo=UTC) == received > timedelta(days=1)
    assert (row["title"], row["origin"], row["event_id"]) == ("mine", "client", "a")


async def test_a_traceparent_of_another_form_is_not_taken_over(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    await stub.Send(request(an_event(trace="mine")), metadata=[("traceparent", "x" * 1000)])

    assert stored(broker)[0].trace == "mine"


async def test_integers_leave_as_they_came(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    event = an_event()
    for value in (2**53 + 1, 2**63 - 1, -(2**63), 0):
        event.event_params.add(key="n").value.int_value = value

    await stub.Send(request(event))

    values = [param.value for param in stored(broker)[0].event_params]
    assert [value.int_value for value in values] == [2**53 + 1, 2**63 - 1, -(2**63), 0]
    assert all(value.HasField("int_value") for value in values)


async def test_a_reject_is_kept_with_its_bytes_as_they_came(channel: grpc.aio.Channel, broker: MemoryBroker) -> None:
    from_a_newer_client = b"\x9a\x7d\x03new"  # a field that this contract does not have yet
    payload = an_event("a", event_name="").SerializeToString() + from_a_newer_client

    response = await send_raw(channel, b"\x0a" + bytes([len(payload)]) + payload)

    assert outcomes(response) == ["REJECTED"]
    (reject,) = kept(broker)
    assert reject.payload == payload
    assert (reject.reason, reject.field, reject.source, reject.event_id) == ("missing", "event_name", "gateway", "a")
    assert reject.message == response.answers[0].problem.message
    assert abs(reject.time_micros - time.time_ns() // 1000) < 10_000_000


async def test_an_event_of_two_megabytes_is_kept_and_its_neighbours_are_accepted(
    stub: IngestAsyncStub, broker: MemoryBroker
) -> None:
    large = an_event("large", user_id="x" * 2 * MAX_EVENT_BYTES)

    response = await stub.Send(request(an_event(), large, an_event()))

    assert outcomes(response) == ["ACCEPTED", "REJECTED", "ACCEPTED"]
    assert response.answers[1].problem.reason == "too_large"
    assert kept(broker)[0].payload == large.SerializeToString()


async def test_an_event_that_cannot_be_read_does_not_take_the_others_with_it(
    channel: grpc.aio.Channel, broker: MemoryBroker, model: ModelServer
) -> None:
    raw = pb.SendRequest(events=[an_event("a")], predict=[pb.SPEND]).SerializeToString()

    response = await send_raw(channel, b"\x0a\x04\x0a\xff\xff\xff" + raw)

    assert outcomes(response) == ["REJECTED", "ACCEPTED"]
    assert response.answers[0].problem.reason == "malformed"
    assert kept(broker)[0].payload == b"\x0a\xff\xff\xff"
    assert response.answers[1].spend.source == pb.FRESH
    assert not response.answers[0].HasField("spend")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b'{"events": []}', "no serialized questline.ingest.v1.SendRequest"),
        (b"\xff\xff", "no serialized questline.ingest.v1.SendRequest"),
        (b"", "the batch is empty; send at least one event"),
    ],
)
async def test_a_call_without_events_is_told_so(channel: grpc.aio.Channel, raw: bytes, sentence: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=sentence) as failure:
        await send_raw(channel, raw)

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_batch_may_be_full_and_not_fuller(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with (
        serving(settings.model_copy(update={"max_batch_events": 3}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        assert len((await stub.Send(request(*(an_event() for _ in range(3))))).answers) == 3
        with pytest.raises(grpc.aio.AioRpcError, match="has 4 events and the gateway takes 3") as failure:
            await stub.Send(request(*(an_event() for _ in range(4))))

    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(stored(broker)) == 3


async def test_a_message_above_the_limit_is_not_let_in(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with (
        serving(settings.model_copy(update={"max_message_bytes": 10_000}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="larger than max") as failure:
            await stub.Send(request(an_event(user_id="x" * 10_000)))
        assert outcomes(await stub.Send(request(an_event()))) == ["ACCEPTED"]

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_beyond_the_bytes_in_flight_are_turned_away_with_advice(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.3
    async with (
        serving(settings.model_copy(update={"max_inflight_bytes": 10_000}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        first = asyncio.ensure_future(stub.Send(request(an_event(user_id="x" * 8000))))
        await asyncio.sleep(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.Send(request(an_event(user_id="x" * 8000)))
        assert outcomes(await first) == ["ACCEPTED"]
        assert outcomes(await stub.Send(request(an_event(user_id="x" * 8000)))) == ["ACCEPTED"]

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    metadata: Any = failure.value.trailing_metadata()
    assert dict(metadata)["grpc-retry-pushback-ms"] == "200"


async def test_while_storing_is_too_far_behind_calls_are_turned_away_with_advice(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 2.0
    async with (
        serving(settings.model_copy(update={"max_wait_s": 1.0}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        first = asyncio.ensure_future(stub.Send(request(an_event())))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(stub.Send(request(an_event())))
        await asyncio.sleep(1.2)
        with pytest.raises(grpc.aio.AioRpcError, match="behind with storing") as failure:
            await stub.Send(request(an_event()))
        assert outcomes(await first) == outcomes(await second) == ["ACCEPTED"]
        assert outcomes(await stub.Send(request(an_event()))) == ["ACCEPTED"]

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    metadata: Any = failure.value.trailing_metadata()
    assert dict(metadata)["grpc-retry-pushback-ms"] == "1000"


async def test_a_full_broker_refuses_everything_and_forgets_it(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    events = [an_event("a"), an_event("a"), an_event(event_name="")]
    broker.failure = FULL
    response = await stub.Send(request(*events))

    assert outcomes(response) == ["REFUSED"] * 3
    assert {answer.retry_after_ms for answer in response.answers} == {1500}
    assert {answer.problem.reason for answer in response.answers} == {"spool_full"}
    assert "the disk is full" in response.answers[0].problem.message

    broker.failure = None
    assert outcomes(await stub.Send(request(*events))) == ["ACCEPTED", "DUPLICATE", "REJECTED"]


async def test_what_is_durable_already_is_a_duplicate_even_while_the_broker_is_full(
    stub: IngestAsyncStub, broker: MemoryBroker
) -> None:
    await stub.Send(request(an_event("a")))
    broker.failure = FULL

    assert outcomes(await stub.Send(request(an_event("a"), an_event()))) == ["DUPLICATE", "REFUSED"]


async def test_a_broker_that_fails_refuses_and_is_logged_once(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.failure = OSError("secret path")
    with capture_logs() as logs:
        response = await stub.Send(request(an_event("a")))

    assert outcomes(response) == ["REFUSED"]
    assert response.answers[0].problem.reason == "broker_failed"
    assert response.answers[0].retry_after_ms == 1000
    assert "secret" not in str(response)
    assert [entry["event"] for entry in logs] == ["publish failed"]
    broker.failure = None
    assert outcomes(await stub.Send(request(an_event("a")))) == ["ACCEPTED"]


async def test_the_second_copy_in_a_batch_is_a_duplicate(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    response = await stub.Send(request(an_event("a"), an_event("b"), an_event("a")))

    assert outcomes(response) == ["ACCEPTED", "ACCEPTED", "DUPLICATE"]
    assert [event.event_id for event in stored(broker)] == ["a", "b"]


async def test_of_copies_in_calls_at_the_same_time_one_is_stored(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.slow_s = 0.1
    responses = await asyncio.gather(*(stub.Send(request(an_event("a"), an_event())) for _ in range(10)))

    assert sorted(outcomes(response)[0] for response in responses) == ["ACCEPTED"] + ["DUPLICATE"] * 9
    assert [event.event_id for event in stored(broker)].count("a") == 1


async def test_a_copy_of_what_could_not_be_stored_is_no_duplicate(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.slow_s, broker.failure = 0.2, FULL
    first = asyncio.ensure_future(stub.Send(request(an_event("a"))))
    await asyncio.sleep(0.1)
    second = asyncio.ensure_future(stub.Send(request(an_event("a"))))

    assert outcomes(await first) == outcomes(await second) == ["REFUSED"]
    assert (await second).answers[0].retry_after_ms > 0
    broker.failure = None
    assert outcomes(await stub.Send(request(an_event("a")))) == ["ACCEPTED"]


async def test_an_abandoned_call_is_stored_once(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.slow_s = 0.3
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub.Send(request(an_event("a")), timeout=0.1)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    assert outcomes(await stub.Send(request(an_event("a")))) == ["DUPLICATE"]
    assert [event.event_id for event in stored(broker)] == ["a"]


async def test_ids_that_the_broker_remembers_are_duplicates_after_a_start(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.known_ids = ["a", "b"]
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        response = await stub.Send(request(an_event("a"), an_event("b"), an_event("c")))

    assert outcomes(response) == ["DUPLICATE", "DUPLICATE", "ACCEPTED"]


async def test_an_unknown_error_is_logged_once_and_leaves_with_a_neutral_text(
    stub: IngestAsyncStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("questline_ingest.gateway.event_messages", fail)
    with capture_logs() as logs, pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub.Send(request(an_event("a")))

    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(failure.value)
    assert [entry["event"] for entry in logs] == ["call failed"]
    monkeypatch.undo()
    assert outcomes(await stub.Send(request(an_event("a")))) == ["ACCEPTED"]


async def test_ids_claimed_by_a_call_that_broke_are_free_again(
    stub: IngestAsyncStub, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("questline_ingest.gateway.event_messages", fail)
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Send(request(an_event("a"), an_event("b")))
    monkeypatch.undo()

    response = await asyncio.wait_for(stub.Send(request(an_event("a"), an_event("b"))), 5)
    assert outcomes(response) == ["ACCEPTED", "ACCEPTED"]


async def test_counts_add_up_to_what_came_in(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with (
        opened_gateway(settings, broker, metrics := Metrics()) as gateway,
        running(gateway, settings, metrics) as at,
        grpc.aio.insecure_channel(at.grpc) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        await stub.Send(request(an_event("a"), an_event("a"), an_event("b"), an_event(event_name="")))
        broker.failure = FULL
        await stub.Send(request(an_event("a"), an_event("c"), an_event("c"), an_event(event_name="")))

    counts: Mapping[str, int] = {name: getattr(gateway.counts, name) for name in type(gateway.counts).__slots__}
    assert counts == {"accepted": 2, "duplicate": 2, "rejected": 1, "refused": 3}
