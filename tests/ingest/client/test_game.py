from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import grpc
import pytest

from questline_core.errors import BadInput, BrokerFull
from questline_core.pb.telemetry_pb2 import Event
from questline_core.stack.children import free_ports
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.client import Access, GameClient, Limits, Pace
from questline_ingest.client.testing import QUICK, FakeGateway, closed, opened
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving, until

NEVER = replace(QUICK, every_s=3600.0)
"""Only a full batch goes."""
NOBODY = "127.0.0.1:1"


def stored(broker: MemoryBroker) -> list[str]:
    return [message.attributes["id"] for message in broker.published]


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


async def test_an_event_that_is_recorded_twice_is_two_events(address: str, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    shot = Event(event_name="shot", user_pseudo_id="ann")
    for _ in range(2):
        client.record(shot)
    await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    assert (client.tally.accepted, client.tally.duplicate) == (2, 0)
    assert shot == Event(event_name="shot", user_pseudo_id="ann")


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


async def test_an_event_leaves_the_queue_only_when_it_is_answered(fake: FakeGateway, queue_file: Path) -> None:
    fake.hold.clear()
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    client.record(an_event("e0"))
    await until(lambda: len(fake.calls) == 1)
    assert client.tally.waiting == 1

    fake.hold.set()
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
    fake: FakeGateway, queue_file: Path
) -> None:
    fake.failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", 100)
    pace = Pace(every_s=0.01, first_backoff_s=0.1, longest_backoff_s=10)
    client = await opened(GameClient(fake.address, queue_file, pace=pace))
    client.record(an_event("e0"))
    await until(lambda: len(fake.calls) == 4)
    await closed(client)

    times = [at for at, _, _ in fake.calls]
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


async def test_one_event_that_makes_calls_fail_is_found_and_the_others_go(fake: FakeGateway, queue_file: Path) -> None:
    fake.bad = "e37"
    rejected: list[str] = []
    client = await opened(
        GameClient(
            fake.address,
            queue_file,
            pace=QUICK,
            on_rejected=lambda e, why: rejected.append(f"{e.event_id} {why.message}"),
        )
    )
    for number in range(100):
        client.record(an_event(f"e{number}"))
    assert await asyncio.to_thread(client.flush, timeout_s=10)
    await closed(client)

    assert rejected == ["e37 cannot be read"]
    assert (client.tally.accepted, client.tally.rejected) == (99, 1)


async def test_a_wrong_key_costs_no_event(fake: FakeGateway, queue_file: Path) -> None:
    fake.failure = (grpc.StatusCode.UNAUTHENTICATED, "the API key is not known", 0)
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK, access=Access(api_key="k1")))
    client.record(an_event("e0"))
    await until(lambda: len(fake.calls) > 1)
    assert client.tally.problem == "the API key is not known"
    fake.failure = None
    await until(lambda: client.tally.accepted == 1)
    await closed(client)

    assert fake.calls[0][2]["authorization"] == "Bearer k1"


@pytest.mark.parametrize("word", [None, False])
async def test_without_consent_nothing_is_recorded_and_nothing_is_sent(
    word: bool | None, fake: FakeGateway, queue_file: Path
) -> None:
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK), consent=word)
    assert not client.record(an_event("e0"))
    default = pb.SpendPrediction(value=7)
    said = await asyncio.to_thread(client.predict, an_event("e1"), pb.SPEND, timeout_s=1, default=default)
    await closed(client)

    assert (said.value, said.source, said.reason) == (7, pb.DEFAULT, "no_consent")
    assert (client.consent, client.tally.withheld, client.tally.recorded, fake.calls) == (word, 2, 0, [])


async def test_a_no_empties_the_queue_stops_what_is_on_its_way_and_is_remembered(
    fake: FakeGateway, queue_file: Path
) -> None:
    fake.hold.clear()
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    for number in range(5):
        client.record(an_event(f"e{number}"))
    await until(lambda: len(fake.calls) == 1)
    client.set_consent(given=False)
    fake.hold.set()
    tally = client.tally
    await closed(client)
    again = await opened(GameClient(fake.address, queue_file, pace=QUICK), consent=None)
    await asyncio.sleep(0.1)

    assert (tally.waiting, tally.withdrawn, tally.recorded) == (0, 5, 5)
    assert again.consent is False
    assert len(fake.calls) == 1
    await closed(again)


async def test_a_full_queue_drops_the_oldest_and_tells_how_many(queue_file: Path) -> None:
    client = await opened(GameClient(NOBODY, queue_file, pace=QUICK, limits=Limits(events=10)))
    for number in range(25):
        client.record(an_event(f"e{number}"))
    tally = client.tally
    await closed(client)

    assert (tally.recorded, tally.waiting, tally.dropped) == (25, 10, 15)


def test_an_event_that_no_gateway_takes_is_said_at_once(queue_file: Path) -> None:
    with GameClient(NOBODY, queue_file, pace=QUICK) as client:
        client.set_consent(given=True)
        with pytest.raises(BadInput, match=r"event 'large' takes 1,\d+,\d+ bytes"):
            client.record(an_event("large", platform="x" * 2**20))
        assert client.tally.waiting == 0
