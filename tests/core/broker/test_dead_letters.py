"""Dead letters are looked at and sent again, by whatever broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from questline_core.broker.dead import DeadLetters, open_dead_letters, revive
from questline_core.broker.port import MAX_ATTEMPTS, Broker, Message, open_broker
from questline_core.broker.pubsub.dead import PulledDeadLetters
from questline_core.testing.memory_broker import MemoryBroker

LETTERS = [Message(f"event {number}".encode(), {"kind": "event", "id": f"e{number}"}) for number in range(3)]

Opened = tuple[Broker, Callable[[], DeadLetters]]


def spool(folder: Path) -> Opened:
    broker = open_broker(f"spool:{folder}")
    asyncio.run(broker.publish(LETTERS))
    for _ in range(MAX_ATTEMPTS):
        broker.nack([delivery.ack_id for delivery in broker.pull(max_messages=9, lease_s=60)])
    return broker, lambda: open_dead_letters(f"spool:{folder}")


def queue_of_its_own(_folder: Path) -> Opened:
    dead = MemoryBroker()
    asyncio.run(dead.publish(LETTERS))
    return MemoryBroker(), lambda: PulledDeadLetters(dead)


@pytest.fixture(params=[spool, queue_of_its_own])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    made: Opened = request.param(tmp_path)
    return made


def contents(messages: list[Message]) -> list[bytes]:
    return [message.data for message in messages]


def test_to_look_leaves_them_where_they_are(opened: Opened) -> None:
    _, open_dead = opened
    for _ in range(2):
        with closing(open_dead()) as dead:
            found = dead.find(9)
            assert contents([letter.message for letter in found]) == contents(LETTERS)
            assert [letter.message.attributes["id"] for letter in found] == ["e0", "e1", "e2"]
            assert {letter.attempts for letter in found} == {MAX_ATTEMPTS}


def test_what_is_revived_is_delivered_again_and_dead_no_more(opened: Opened) -> None:
    broker, open_dead = opened
    with closing(open_dead()) as dead:
        assert asyncio.run(revive(dead, broker, limit=2)) == 2

    delivered = broker.pull(max_messages=9, lease_s=60)
    assert contents([delivery.message for delivery in delivered]) == contents(LETTERS[:2])
    assert {delivery.attempt for delivery in delivered} == {1}
    with closing(open_dead()) as dead:
        assert contents([letter.message for letter in dead.find(9)]) == contents(LETTERS[2:])
    with closing(open_dead()) as dead:
        assert asyncio.run(revive(dead, broker, limit=9)) == 1
        assert asyncio.run(revive(dead, broker, limit=9)) == 0


def test_what_cannot_be_published_stays_dead(opened: Opened) -> None:
    _, open_dead = opened
    with closing(open_dead()) as dead, pytest.raises(OSError, match="down"):
        asyncio.run(revive(dead, MemoryBroker(failure=OSError("down")), limit=9))

    with closing(open_dead()) as dead:
        assert len(dead.find(9)) == 3
