from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from questline_core.errors import BadInput, BrokerFull
from questline_core.pb.telemetry_pb2 import Event
from questline_core.stack.children import free_ports
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.client import Access, AsyncGameClient, GameClient, Limits, Pace
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.settings import GatewaySettings
from questline_ingest.status import PUSHBACK, SERVER_TIME
from questline_ingest.testing import ModelServer, an_event, serving, until

QUICK = Pace(every_s=0.02, first_backoff_s=0.02, longest_backoff_s=0.1)
NEVER = replace(QUICK, every_s=3600.0)
"""Only a full batch goes."""
CHURN = pb.ChurnPrediction(probability=0.75, source=pb.FRESH)
NOBODY = "127.0.0.1:1"


def stored(broker: MemoryBroker) -> list[str]:
    return [message.attributes["id"] for message in broker.published]


@pytest.fixture
def queue_file(tmp_path: Path) -> Path:
    return tmp_path / "client" / "queue"


async def opened(client: GameClient, *, consent: bool | None = True) -> GameClient:
    await asyncio.to_thread(client.__enter__)
    if consent is not None:
        client.set_consent(given=consent)
    return client


async def closed(client: GameClient) -> None:
    await asyncio.to_thread(client.__exit__)


class FakeGateway:
    """Answers calls as it is told, where a real gateway would not for long."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, list[str], dict[str, str]]] = []
        self.failure: tuple[grpc.StatusCode, str, int] | None = None
        self.bad = ""
        self.ahead_us = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def send(self, request: pb.SendRequest, context: grpc.aio.ServicerContext) -> pb.SendResponse:  # type: ignore[type-arg]
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        ids = [event.event_id for event in request.events]
        self.calls.append((time.monotonic(), ids, metadata))
        await self.hold.wait()
        if self.failure:
            code, details, pushback_ms = self.failure
            await context.abort(code, details, ((PUSHBACK, str(pushback_ms)),))
        if self.bad in ids:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "cannot be read")
        context.set_trailing_metadata(((SERVER_TIME, str(time.time_ns() // 1000 + self.ahead_us)),))
        churn = CHURN if pb.CHURN in request.predict else None
        return pb.SendResponse(answers=[pb.Answer(event_id=one, outcome=pb.ACCEPTED, churn=churn) for one in ids])


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeGateway, str]]:
    gateway, server = FakeGateway(), grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        gateway.send,
        request_deserializer=pb.SendRequest.FromString,
        response_serializer=pb.SendResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("questline.ingest.v1.Ingest", {"Send": handler}),)
    )
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield gateway, address
    gateway.hold.set()
    await server.stop(None)


async def test_what_is_recorded_arrives_and_leaves_the_queue(
    address: str, broker: MemoryBroker, queue_file: Path
) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    for number in range(50):
        assert client.record(an_event(f"e{number}"))
    assert await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    assert stored(broker) == [f"e{number}" for number in range(50)]
    assert Event.FromString(broker.published[0].data).consent.analytics


async def test_an_event_gets_an_id_and_its_time_when_it_has_none(
    address: str, broker: MemoryBroker, queue_file: Path
) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    before = time.time_ns() // 1000
    client.record(Event(event_name="level_up", user_pseudo_id="ann"))
    await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    event = Event.FromString(broker.published[0].data)
    assert len(event.event_id) == 36
    assert before <= event.client_time <= time.time_ns() // 1000
    assert before <= event.event_timestamp <= time.time_ns() // 1000


async def test_a_batch_goes_when_it_is_full_by_count(address: str, broker: MemoryBroker, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=replace(NEVER, batch_events=10)))
    for number in range(9):
        client.record(an_event(f"e{number}"))
    await asyncio.sleep(0.2)
    assert stored(broker) == []

    client.record(an_event("e9"))
    await until(lambda: len(stored(broker)) == 10)
    await closed(client)


async def test_a_batch_goes_when_it_is_full_by_bytes(address: str, broker: MemoryBroker, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=replace(NEVER, batch_bytes=3000)))
    for number in range(2):
        client.record(an_event(f"e{number}", platform="x" * 1000))
    await asyncio.sleep(0.2)
    assert stored(broker) == []

    client.record(an_event("e2", platform="x" * 1000))
    await until(lambda: len(stored(broker)) >= 2)
    await closed(client)


async def test_events_wait_for_a_gateway_that_is_away_and_for_the_next_start(
    settings: GatewaySettings, broker: MemoryBroker, queue_file: Path
) -> None:
    at = settings.model_copy(update={"listen": f"127.0.0.1:{free_ports(1)[0]}"})
    first = await opened(GameClient(at.listen, queue_file, pace=QUICK))
    for number in range(20):
        first.record(an_event(f"e{number}"))
    await until(lambda: first.tally.failed_calls > 1)
    assert first.tally.waiting == 20
    assert first.tally.problem
    await closed(first)

    second = await opened(GameClient(at.listen, queue_file, pace=QUICK), consent=None)
    async with serving(at, broker):
        await until(lambda: not second.tally.waiting)
    await closed(second)

    assert stored(broker) == [f"e{number}" for number in range(20)]
    assert second.tally.problem == ""


async def test_an_event_leaves_the_queue_only_when_it_is_answered(
    fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.hold.clear()
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    client.record(an_event("e0"))
    await until(lambda: len(gateway.calls) == 1)
    assert client.tally.waiting == 1

    gateway.hold.set()
    await until(lambda: not client.tally.waiting)
    assert client.tally.accepted == 1
    await closed(client)


async def test_refused_events_come_again_and_not_before_the_gateway_asks(
    address: str, broker: MemoryBroker, queue_file: Path
) -> None:
    broker.failure = BrokerFull("the spool", "full", retry_after_s=0.4)
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    client.record(an_event("e0"))
    await until(lambda: client.tally.refused == 1)
    refused_at = time.monotonic()
    broker.failure = None
    await until(lambda: stored(broker) == ["e0"])

    assert time.monotonic() - refused_at >= 0.35
    assert client.tally.refused == 1
    await closed(client)


async def test_calls_turned_away_obey_the_pushback_and_then_back_off_further_each_time(
    fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", 100)
    pace = Pace(every_s=0.01, first_backoff_s=0.1, longest_backoff_s=10)
    client = await opened(GameClient(address, queue_file, pace=pace))
    client.record(an_event("e0"))
    await until(lambda: len(gateway.calls) == 4)
    await closed(client)

    times = [at for at, _, _ in gateway.calls]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert all(pause >= 0.1 + least for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True))


async def test_one_bad_event_does_not_hold_the_others(address: str, broker: MemoryBroker, queue_file: Path) -> None:
    rejected: list[tuple[str, str]] = []
    client = await opened(
        GameClient(address, queue_file, pace=QUICK, on_rejected=lambda e, why: rejected.append((e.event_id, why.field)))
    )
    for number in range(10):
        client.record(an_event(f"e{number}", event_name="" if number == 3 else "level_up"))
    await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    assert (client.tally.accepted, client.tally.rejected, client.tally.waiting) == (9, 1, 0)
    assert rejected == [("e3", "event_name")]


async def test_one_event_that_makes_calls_fail_is_found_and_the_others_go(
    fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.bad = "e37"
    rejected: list[str] = []
    client = await opened(
        GameClient(
            address, queue_file, pace=QUICK, on_rejected=lambda e, why: rejected.append(f"{e.event_id} {why.message}")
        )
    )
    for number in range(100):
        client.record(an_event(f"e{number}"))
    assert await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    assert rejected == ["e37 cannot be read"]
    assert (client.tally.accepted, client.tally.rejected) == (99, 1)


async def test_a_wrong_key_costs_no_event(fake: tuple[FakeGateway, str], queue_file: Path) -> None:
    gateway, address = fake
    gateway.failure = (grpc.StatusCode.UNAUTHENTICATED, "the API key is not known", 0)
    client = await opened(GameClient(address, queue_file, pace=QUICK, access=Access(api_key="k1")))
    client.record(an_event("e0"))
    await until(lambda: len(gateway.calls) > 1)
    assert client.tally.problem == "the API key is not known"
    gateway.failure = None
    await until(lambda: client.tally.accepted == 1)
    await closed(client)

    assert gateway.calls[0][2]["authorization"] == "Bearer k1"


@pytest.mark.parametrize("word", [None, False])
async def test_without_consent_nothing_is_recorded_and_nothing_is_sent(
    word: bool | None, fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    client = await opened(GameClient(address, queue_file, pace=QUICK), consent=word)
    assert not client.record(an_event("e0"))
    default = pb.SpendPrediction(value=7)
    said = await asyncio.to_thread(client.predict, an_event("e1"), pb.SPEND, timeout_s=1, default=default)
    await closed(client)

    assert (said.value, said.source, said.reason) == (7, pb.DEFAULT, "no_consent")
    assert (client.consent, client.tally.withheld, client.tally.recorded, gateway.calls) == (word, 2, 0, [])


async def test_a_no_empties_the_queue_stops_what_is_on_its_way_and_is_remembered(
    fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.hold.clear()
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    for number in range(5):
        client.record(an_event(f"e{number}"))
    await until(lambda: len(gateway.calls) == 1)
    client.set_consent(given=False)
    gateway.hold.set()
    tally = client.tally
    await closed(client)
    again = await opened(GameClient(address, queue_file, pace=QUICK), consent=None)
    await asyncio.sleep(0.1)

    assert (tally.waiting, tally.withdrawn, tally.recorded) == (0, 5, 5)
    assert again.consent is False
    assert len(gateway.calls) == 1
    await closed(again)


async def test_a_full_queue_drops_the_oldest_and_tells_how_many(queue_file: Path) -> None:
    client = await opened(GameClient(NOBODY, queue_file, pace=QUICK, limits=Limits(events=10)))
    for number in range(25):
        client.record(an_event(f"e{number}"))
    tally = client.tally
    await closed(client)

    assert (tally.recorded, tally.waiting, tally.dropped) == (25, 10, 15)


@pytest.mark.parametrize("ahead_s", [-3600, 0, 86_400])
async def test_the_skew_of_the_clock_is_measured_and_new_events_get_the_right_time(
    ahead_s: int, fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.ahead_us = ahead_s * 1_000_000
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    assert client.clock_skew_s is None
    client.record(an_event("e0"))
    await until(lambda: client.clock_skew_s is not None)
    event = Event(event_name="level_up", user_pseudo_id="ann")
    client.record(event)
    skew_s = client.clock_skew_s
    await closed(client)

    assert skew_s == pytest.approx(ahead_s, abs=5)
    assert (event.event_timestamp - event.client_time) / 1e6 == pytest.approx(ahead_s, abs=5)


async def test_a_real_gateway_tells_its_time(address: str, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    client.record(an_event("e0"))
    await asyncio.to_thread(client.flush, timeout_s=10)
    skew_s = client.clock_skew_s
    await closed(client)

    assert skew_s == pytest.approx(0, abs=5)


async def test_a_prediction_comes_with_the_event_stored_once(
    address: str, broker: MemoryBroker, queue_file: Path
) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    said = await asyncio.to_thread(
        client.predict, an_event("e0"), pb.SPEND, timeout_s=5, default=pb.SpendPrediction(value=7)
    )
    tally = client.tally
    await closed(client)

    assert (said.value, said.source, said.revision) == (0, pb.FRESH, "v1")
    assert (tally.accepted, tally.duplicate, tally.waiting) == (1, 0, 0)
    assert stored(broker) == ["e0"]


async def test_churn_is_asked_in_the_same_way(fake: tuple[FakeGateway, str], queue_file: Path) -> None:
    client = await opened(GameClient(fake[1], queue_file, pace=QUICK))
    default = pb.ChurnPrediction(probability=0.2)
    said = await asyncio.to_thread(client.predict, an_event("e0"), pb.CHURN, timeout_s=5, default=default)
    await closed(client)

    assert said == CHURN


async def test_without_an_answer_in_time_the_default_is_said_and_the_event_still_arrives(
    fake: tuple[FakeGateway, str], queue_file: Path
) -> None:
    gateway, address = fake
    gateway.hold.clear()
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    default = pb.SpendPrediction(value=7)
    said = await asyncio.to_thread(client.predict, an_event("e0"), pb.SPEND, timeout_s=0.1, default=default)
    assert (said.value, said.source, said.reason) == (7, pb.DEFAULT, "no_answer")
    assert default.reason == ""

    gateway.hold.set()
    await until(lambda: client.tally.accepted == 1)
    await closed(client)


async def test_a_rejected_event_has_no_prediction_but_the_default(address: str, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    event = an_event("e0", event_name="")
    said = await asyncio.to_thread(client.predict, event, pb.SPEND, timeout_s=5, default=pb.SpendPrediction(value=7))
    await closed(client)

    assert (said.value, said.reason, client.tally.rejected) == (7, "rejected", 1)


async def test_the_asynchronous_client_does_the_same(
    address: str, broker: MemoryBroker, queue_file: Path, model: ModelServer
) -> None:
    async with AsyncGameClient(GameClient(address, queue_file, pace=QUICK)) as client:
        await client.set_consent(given=True)
        assert await client.record(an_event("e0"))
        asked = [
            client.predict(an_event(f"p{n}"), pb.SPEND, timeout_s=5, default=pb.SpendPrediction()) for n in range(8)
        ]
        assert {said.source for said in await asyncio.gather(*asked)} == {pb.FRESH}
        assert await client.flush(timeout_s=10)
        tally, skew_s = client.tally, client.clock_skew_s

    assert (tally.accepted, tally.waiting, skew_s is not None) == (9, 0, True)
    assert sorted(stored(broker)) == ["e0", *(f"p{n}" for n in range(8))]


def test_an_event_that_no_gateway_takes_is_said_at_once(queue_file: Path) -> None:
    with GameClient(NOBODY, queue_file, pace=QUICK) as client:
        client.set_consent(given=True)
        with pytest.raises(BadInput, match=r"event 'large' takes 1,\d+,\d+ bytes"):
            client.record(an_event("large", platform="x" * 2**20))
        assert client.tally.waiting == 0
