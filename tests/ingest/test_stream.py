from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import grpc

from questline_core.broker.port import Message
from questline_core.errors import BrokerFull
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.metrics import Metrics
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.server import opened_gateway, running
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub


def requests(*batches: list[Event]) -> list[pb.SendRequest]:
    return [pb.SendRequest(events=batch) for batch in batches]


async def one_and_then_silence() -> AsyncIterator[pb.SendRequest]:
    yield requests([an_event("a")])[0]
    await asyncio.sleep(60)


async def test_a_stream_answers_every_request_in_order(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    batches = [[an_event(f"{batch}-{number}") for number in range(batch % 3 + 1)] for batch in range(300)]

    responses = [response async for response in stub.Stream(iter(requests(*batches)))]

    ids = [[answer.event_id for answer in response.answers] for response in responses]
    assert ids == [[event.event_id for event in batch] for batch in batches]
    assert {answer.outcome for response in responses for answer in response.answers} == {pb.ACCEPTED}
    assert len(broker.published) == 600


async def test_a_request_that_is_turned_away_does_not_end_the_stream(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with (
        serving(settings.model_copy(update={"max_batch_events": 2}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        too_many = [an_event() for _ in range(3)]
        responses = [r async for r in stub.Stream(iter(requests([an_event()], too_many, [], [an_event()])))]

    assert [response.problem.reason for response in responses] == ["", "malformed", "malformed", ""]
    assert "has 3 events and the gateway takes 2" in responses[1].problem.message
    assert [len(response.answers) for response in responses] == [1, 0, 0, 1]


async def test_beyond_the_bytes_in_flight_a_request_of_a_stream_is_turned_away_with_advice(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.2
    large = [[an_event(user_id="x" * 6000)] for _ in range(2)]
    async with (
        serving(settings.model_copy(update={"max_inflight_bytes": 10_000}), broker) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        first, second = [response async for response in stub.Stream(iter(requests(*large)))]

    assert first.answers[0].outcome == pb.ACCEPTED
    assert (second.problem.reason, second.retry_after_ms) == ("overloaded", 200)


async def test_a_full_broker_refuses_the_events_and_not_the_stream(stub: IngestAsyncStub, broker: MemoryBroker) -> None:
    broker.failure = BrokerFull("the spool", "the disk is full", retry_after_s=1.5)

    responses = [response async for response in stub.Stream(iter(requests([an_event()], [an_event()])))]

    assert [response.answers[0].outcome for response in responses] == [pb.REFUSED, pb.REFUSED]
    assert responses[0].answers[0].retry_after_ms == 1500


class Telling(MemoryBroker):
    """Tells that a publish has begun."""

    def __init__(self) -> None:
        super().__init__(slow_s=0.3)
        self.begun = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        self.begun.set()
        await super().publish(messages)


async def test_a_gateway_that_drains_answers_what_it_read_and_ends_the_stream(settings: GatewaySettings) -> None:
    broker = Telling()
    running = serving(settings, broker)
    address = await running.__aenter__()
    async with grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        call = stub.Stream(one_and_then_silence())
        await asyncio.wait_for(broker.begun.wait(), 30)
        stopping = asyncio.ensure_future(running.__aexit__(None, None, None))

        responses = [response async for response in call]

        assert [response.answers[0].event_id for response in responses] == ["a"]
        assert await call.code() is grpc.StatusCode.OK
        await asyncio.wait_for(stopping, 5)


async def test_nothing_counts_as_under_way_when_all_is_answered_or_the_client_is_gone(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.1
    metrics = Metrics()
    twice = [an_event("a"), an_event("a")]
    asked = pb.SendRequest(events=[an_event()], predict=[pb.SPEND, pb.CHURN])
    async with (
        opened_gateway(settings, broker, metrics) as gateway,
        running(gateway, settings, metrics) as at,
        grpc.aio.insecure_channel(at.grpc) as channel,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        sent = [*requests(twice, twice, [], [an_event(event_name="")]), asked]
        answered = [response async for response in stub.Stream(iter(sent))]
        abandoned = stub.Stream(iter([*sent, asked]))
        await abandoned.read()
        abandoned.cancel()
        await stub.Send(asked)
        await gateway.settled()
        async with asyncio.timeout(15):
            while under_way((await metrics.text()).decode()):  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.05)

    assert len(answered) == len(sent)


def under_way(told: str) -> float:
    (line,) = [line for line in told.splitlines() if line.startswith("questline_gateway_inflight_bytes ")]
    return float(line.split()[1])
