"""What a gateway says to a game: its time, and predictions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.client import AsyncGameClient, GameClient
from questline_ingest.client.testing import CHURN, QUICK, FakeGateway, closed, opened
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.testing import ModelServer, an_event, until


@pytest.mark.parametrize("ahead_s", [-3600, 0, 86_400])
async def test_the_skew_of_the_clock_is_measured_and_new_events_get_the_right_time(
    ahead_s: int, fake: FakeGateway, queue_file: Path
) -> None:
    fake.ahead_us = ahead_s * 1_000_000
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    assert client.clock_skew_s is None
    client.record(an_event("e0"))
    await until(lambda: client.clock_skew_s is not None)
    client.record(Event(event_name="level_up", user_pseudo_id="ann"))
    skew_s = client.clock_skew_s
    await until(lambda: client.tally.accepted == 2)
    await closed(client)
    event = fake.events[1]

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
    assert [message.attributes["id"] for message in broker.published] == ["e0"]


async def test_churn_is_asked_in_the_same_way(fake: FakeGateway, queue_file: Path) -> None:
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    default = pb.ChurnPrediction(probability=0.2)
    said = await asyncio.to_thread(client.predict, an_event("e0"), pb.CHURN, timeout_s=5, default=default)
    await closed(client)

    assert said == CHURN


async def test_without_an_answer_in_time_the_default_is_said_and_the_event_still_arrives(
    fake: FakeGateway, queue_file: Path
) -> None:
    fake.hold.clear()
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    default = pb.SpendPrediction(value=7)
    said = await asyncio.to_thread(client.predict, an_event("e0"), pb.SPEND, timeout_s=0.1, default=default)
    assert (said.value, said.source, said.reason) == (7, pb.DEFAULT, "no_answer")
    assert default.reason == ""

    fake.hold.set()
    await until(lambda: client.tally.accepted == 1)
    await closed(client)


async def test_a_rejected_event_has_no_prediction_but_the_default(address: str, queue_file: Path) -> None:
    client = await opened(GameClient(address, queue_file, pace=QUICK))
    event = an_event("e0", event_name="")
    said = await asyncio.to_thread(client.predict, event, pb.SPEND, timeout_s=5, default=pb.SpendPrediction(value=7))
    await closed(client)

    assert (said.value, said.reason, client.tally.rejected) == (7, "rejected", 1)


async def test_a_title_that_is_told_nothing_of_players_gets_the_default(fake: FakeGateway, queue_file: Path) -> None:
    client = await opened(GameClient(fake.address, queue_file, pace=QUICK))
    default = pb.SpendPrediction(value=7)
    said = await asyncio.to_thread(client.predict, an_event("e0"), pb.SPEND, timeout_s=5, default=default)
    await closed(client)

    assert (said.value, said.source, said.reason) == (7, pb.DEFAULT, "no_prediction")


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
    assert sorted(message.attributes["id"] for message in broker.published) == ["e0", *(f"p{n}" for n in range(8))]
