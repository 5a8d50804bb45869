"""What the Pub/Sub adapter promises beyond the rules of every broker: bounded memory, retries, refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from questline_core.broker.port import EVENT, Message
from questline_core.broker.pubsub import PubSub, ensure, open_pubsub, subscriber
from questline_core.broker.pubsub.address import parse
from questline_core.broker.pubsub.requests import REQUEST_BYTES, REQUEST_MESSAGES
from questline_core.errors import BadInput, BrokerFull, NotReady
from questline_core.stack.children import free_ports
from questline_core.testing.broker_contract import drain, message, names
from questline_core.testing.pubsub_emulator import find_emulator, running_emulator

numbers = count()


@pytest.fixture
def address(emulator: str) -> str:
    where = f"questline/own{next(numbers)}/own{next(numbers)}?endpoint={emulator}"
    ensure(where)
    return where


@pytest.fixture
def broker(address: str) -> Iterator[PubSub]:
    with closing(open_pubsub(address, wait_s=0.5)) as broker:
        yield broker


def big(number: int, size: int) -> Message:
    return Message(bytes(size), {"kind": EVENT, "id": f"big{number}"})


async def test_a_publish_larger_than_a_request_arrives_whole(broker: PubSub) -> None:
    await broker.publish([message(f"m{i:04}") for i in range(2 * REQUEST_MESSAGES + 1)])
    await broker.publish([big(i, 1_000_000) for i in range(12)])

    found = []
    while deliveries := broker.pull(max_messages=1_000, lease_s=60):
        broker.ack([d.ack_id for d in deliveries])
        found += [d.message.attributes["id"] for d in deliveries]
    assert sorted(found) == sorted(
        [f"m{i:04}" for i in range(2 * REQUEST_MESSAGES + 1)] + [f"big{i}" for i in range(12)]
    )


async def test_a_message_larger_than_a_request_is_a_sentence(broker: PubSub) -> None:
    with pytest.raises(BadInput, match=r"too large for Pub/Sub; send at most 9,000,000"):
        await broker.publish([message("a"), big(0, REQUEST_BYTES)])


async def test_more_than_memory_allows_is_refused_with_advice_and_the_rest_is_published(address: str) -> None:
    with closing(open_pubsub(address, wait_s=0.5, max_bytes=5_000_000)) as broker:
        outcomes = await asyncio.gather(
            *(broker.publish([big(i, 1_000_000)]) for i in range(8)), return_exceptions=True
        )
        refused = [outcome for outcome in outcomes if outcome is not None]

        assert len(refused) == 4
        assert all(isinstance(outcome, BrokerFull) and outcome.retry_after_s > 0 for outcome in refused)
        await broker.publish([big(9, 1_000_000)])
        assert len(broker.pull(max_messages=100, lease_s=60)) == 5


async def test_a_server_that_is_away_for_a_moment_loses_nothing(tmp_path: Path, emulator: str) -> None:
    (port,) = free_ports(1)
    with closing(open_pubsub("questline/away/away", endpoint=f"127.0.0.1:{port}", give_up_s=60)) as broker:
        publishing = [asyncio.create_task(broker.publish([message(f"m{i}")])) for i in range(100)]
        await asyncio.sleep(0.3)
        assert not any(task.done() for task in publishing)
        with running_emulator(find_emulator(), tmp_path / "log", port=port) as late:
            await asyncio.to_thread(ensure, "questline/away/away", endpoint=late)
            outcomes = await asyncio.gather(*publishing, return_exceptions=True)
            refused = [outcome for outcome in outcomes if outcome is not None]
            await broker.publish([message(f"again{i}") for i in range(len(refused))])

            assert all(isinstance(outcome, NotReady) for outcome in refused)  # it listened before it had the topic
            assert len(drain(broker)) == 100


async def test_a_server_that_stays_away_is_refused_with_advice() -> None:
    with (
        closing(open_pubsub("questline/never/never", endpoint="127.0.0.1:9", give_up_s=0.3)) as broker,
        pytest.raises(BrokerFull, match=r"takes no more events now \(UNAVAILABLE: .*send them again in 1 s"),
    ):
        await broker.publish([message("a")])


async def test_what_would_not_fill_a_request_waits_for_the_answer_to_one_of_two() -> None:
    with closing(open_pubsub("questline/never/never", endpoint="127.0.0.1:9", give_up_s=60)) as broker:
        publishing = list[asyncio.Task[None]]()

        async def publish(messages: int) -> tuple[int, int]:
            """Publish so many, and tell the requests that are under way then, and the messages that wait for one."""
            publishing.append(asyncio.create_task(broker.publish([message("m")] * messages)))
            for _ in range(10):  # turns of the loop
                await asyncio.sleep(0)
            assert broker._publisher
            return broker._publisher._lane.under_way, broker._publisher._lane.messages

        assert [await publish(1) for _ in range(4)] == [(1, 0), (2, 0), (2, 1), (2, 2)]
        full = [await publish(REQUEST_MESSAGES) for _ in range(8)]
        assert [requests for requests, _ in full] == [4, 5, 6, 7, 8, 8, 8, 8]
        for task in publishing:
            task.cancel()
        await asyncio.wait(publishing)


async def test_what_is_under_way_when_its_loop_ends_is_not_said_to_be_stored() -> None:
    with closing(open_pubsub("questline/never/never", endpoint="127.0.0.1:9", give_up_s=60)) as broker:
        publishing = asyncio.create_task(broker.publish([message("a")]))
        for _ in range(10):  # turns of the loop, until the request is under way
            await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), publishing}:
            task.cancel()  # as the end of a loop does

        with pytest.raises(BrokerFull, match="the event loop ends"):
            await publishing


async def test_a_topic_that_does_not_exist_is_a_sentence_at_once(emulator: str) -> None:
    with closing(open_pubsub("questline/missing/missing", endpoint=emulator)) as broker:
        with pytest.raises(NotReady, match=r"refused to publish to projects/questline/topics/missing \(NOT_FOUND"):
            await broker.publish([message("a")])
        with pytest.raises(NotReady, match=r"refused a request for projects/questline/subscriptions/missing"):
            broker.pull(max_messages=1, lease_s=10)


async def test_a_lease_longer_than_an_extension_is_extended_until_it_ends(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "EXTENSION_S", 1.5)
    with closing(open_pubsub(address, wait_s=0.5)) as holder, closing(open_pubsub(address, wait_s=0.5)) as other:
        await holder.publish([message("a")])
        (held,) = holder.pull(max_messages=10, lease_s=6)
        time.sleep(4)  # noqa: ASYNC251 - real leases take real time

        assert other.pull(max_messages=10, lease_s=6) == []
        time.sleep(4)  # noqa: ASYNC251 - as above
        holder.ack([held.ack_id])
        assert names(other.pull(max_messages=10, lease_s=6)) == ["a"]


async def test_a_dead_letter_is_kept_in_a_subscription_of_its_own(broker: PubSub, emulator: str) -> None:
    await broker.publish([message("poison")])
    for _ in range(6):
        broker.nack([d.ack_id for d in broker.pull(max_messages=10, lease_s=60)])
    dead = broker.address.dead

    with closing(open_pubsub(f"{dead.project}/{dead.topic}/{dead.subscription}", endpoint=emulator)) as dead_letters:
        (kept,) = dead_letters.pull(max_messages=10, lease_s=60)

    assert (kept.message.data, kept.message.attributes["id"]) == (b"poison", "poison")


def test_erasing_is_refused_and_tells_until_when_messages_live() -> None:
    with pytest.raises(NotReady, match=r"cannot remove messages .* live until \d{4}-\d\d-\d\d \d\d:\d\d UTC"):
        open_pubsub("questline/topic").erase(lambda _: True)


@pytest.mark.parametrize(
    "text", ["", "project", "project/", "project/topic/sub/more", "project/topic?host=x", "P/topic"]
)
def test_an_address_that_is_none_is_a_sentence(text: str) -> None:
    with pytest.raises(BadInput, match="write PROJECT/TOPIC/SUBSCRIPTION"):
        parse(text)


def test_a_topic_without_subscription_cannot_be_consumed() -> None:
    with pytest.raises(BadInput, match="names no subscription to pull from"):
        open_pubsub("questline/topic").pull(max_messages=1, lease_s=10)
