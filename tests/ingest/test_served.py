"""Some of the answers are noted, beside the calls: no call waits for that, or fails by it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from questline_core.broker.port import SERVED, Message
from questline_core.errors import BrokerFull
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.features.state import PlayerState
from questline_core.features.store import open_writer
from questline_core.pb.broker_pb2 import Served
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.served import MOST_WAITING
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import ModelServer, an_event, serving, serving_all, until

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

BOTH = (pb.SPEND, pb.CHURN)


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    return settings.model_copy(update={"served_share": 1.0, "spend_timeout_s": 5.0})


def noted(broker: MemoryBroker) -> list[Served]:
    return [Served.FromString(one.data) for one in broker.published if one.attributes["kind"] == SERVED]


class NoAnswers(MemoryBroker):
    """A broker that takes events, and no answers."""

    async def publish(self, messages: Sequence[Message]) -> None:
        if any(message.attributes["kind"] == SERVED for message in messages):
            raise BrokerFull("the spool", "full", retry_after_s=1)
        await super().publish(messages)


async def test_an_answer_is_noted_with_what_the_model_was_asked(
    settings: GatewaySettings, broker: MemoryBroker, model: ModelServer
) -> None:
    with open_writer(settings.paths.features) as features:
        features.put_many([("ann", PlayerState(events=41, country="Chile"))])
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        event = an_event("e1", user_pseudo_id="ann", title="quest", is_test=True)
        (answer,) = (await stub.Send(pb.SendRequest(events=[event], predict=BOTH))).answers
        await until(lambda: len(noted(broker)) == 2)

    spend, churn = noted(broker)
    assert (spend.prediction_id, spend.event_id, spend.model) == ("e1/spend", "e1", "spend")
    assert (spend.revision, spend.source, spend.reason) == ("v1", "FRESH", "")
    assert (spend.value, spend.upper_bound, spend.probability) == (answer.spend.value, 1.0, 0.5)
    assert (spend.user_pseudo_id, spend.title, spend.event_name, spend.is_test) == ("ann", "quest", "level_end", True)
    assert 0 <= spend.served_time - broker_time(broker) < 60_000_000
    inputs = {one.name: one for one in spend.features}
    assert list(inputs) == [tensor.name for tensor in model.asked[0].inputs]
    assert set(inputs) == {*NUMBERS, *TEXTS}
    assert (inputs["events"].number, inputs["country"].text) == (41.0, "Chile")
    assert not inputs["level_max"].HasField("number")
    assert (churn.prediction_id, churn.source, churn.value) == ("e1/churn", "DEFAULT", 0.5)
    assert (churn.probability, churn.HasField("lower_bound"), len(churn.features)) == (0.5, False, 0)


def broker_time(broker: MemoryBroker) -> int:
    """When the gateway took the first event."""
    return 1000 * int(broker.published[0].attributes["time"])


async def test_the_share_is_chosen_by_the_event_id_so_that_a_resend_is_noted_alike(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    some = settings.model_copy(update={"served_share": 0.25})
    events = [an_event(f"chosen-{number}") for number in range(400)]
    async with serving(some, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        for _ in range(2):
            await stub.Send(pb.SendRequest(events=events, predict=[pb.SPEND]))

    ids = [one.prediction_id for one in noted(broker)]
    first, again = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    assert first == again
    assert 60 < len(first) < 140


async def test_nothing_is_noted_at_a_share_of_zero_or_when_nothing_was_asked(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    for share, models in ((0.0, BOTH), (1.0, ())):
        given = settings.model_copy(update={"served_share": share})
        async with serving(given, broker) as address, grpc.aio.insecure_channel(address) as channel:
            await IngestStub(channel).Send(pb.SendRequest(events=[an_event()], predict=models))

    assert noted(broker) == []


async def test_what_still_waits_is_noted_when_the_gateway_ends(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        await IngestStub(channel).Send(pb.SendRequest(events=[an_event("last")], predict=[pb.SPEND]))

    assert [one.event_id for one in noted(broker)] == ["last"]


async def test_an_event_that_is_refused_or_rejected_has_no_answer_to_note(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        await stub.Send(pb.SendRequest(events=[an_event(event_name="")], predict=[pb.SPEND]))
        broker.failure = BrokerFull("the spool", "full", retry_after_s=1)
        await stub.Send(pb.SendRequest(events=[an_event()], predict=[pb.SPEND]))
        broker.failure = None

    assert noted(broker) == []


async def test_an_answer_without_a_model_is_noted_with_its_reason_and_inputs(
    settings: GatewaySettings, broker: MemoryBroker, model: ModelServer
) -> None:
    hasty = settings.model_copy(update={"spend_timeout_s": 0.2})
    async with serving(hasty, broker) as address, grpc.aio.insecure_channel(address) as channel:
        model.slow_s = 5.0
        await IngestStub(channel).Send(pb.SendRequest(events=[an_event()], predict=[pb.SPEND]))

    (answer,) = noted(broker)
    assert (answer.source, answer.reason, answer.revision) == ("DEFAULT", "timeout", "")
    assert len(answer.features) == len(NUMBERS) + len(TEXTS)


async def counted(admin: str, outcome: str) -> float:
    async with httpx.AsyncClient(base_url=f"http://{admin}") as client:
        lines = (await client.get("/metrics")).text.splitlines()
    name = f'questline_gateway_sampled_answers_total{{outcome="{outcome}"}}'
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


async def eventually(admin: str, outcome: str, expected: float) -> None:
    async with asyncio.timeout(10):
        while await counted(admin, outcome) != expected:  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.05)


async def test_a_broker_that_takes_no_answers_costs_no_call_anything_and_the_loss_is_counted(
    settings: GatewaySettings,
) -> None:
    broker = NoAnswers()
    async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        answers = (await stub.Send(pb.SendRequest(events=[an_event(), an_event()], predict=[pb.SPEND]))).answers
        await eventually(at.admin, "dropped", 2)
        again = (await stub.Send(pb.SendRequest(events=[an_event()], predict=[pb.SPEND]))).answers

    assert {(one.outcome, one.spend.source) for one in (*answers, *again)} == {(pb.ACCEPTED, pb.FRESH)}


async def test_answers_beyond_what_may_wait_are_dropped_and_counted(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    events = [an_event() for _ in range(MOST_WAITING + 300)]
    async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        response = await stub.Send(pb.SendRequest(events=events, predict=[pb.SPEND]), timeout=30)
        await eventually(at.admin, "noted", MOST_WAITING)
        dropped = await counted(at.admin, "dropped")

    assert {answer.outcome for answer in response.answers} == {pb.ACCEPTED}
    assert (len(noted(broker)), dropped) == (MOST_WAITING, 300)
