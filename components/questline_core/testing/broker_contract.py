"""The rules that every broker keeps, as tests: subclass `BrokerContract` and give the fixture `bench`.

`CountingBrokerContract` adds those of a broker that can count and erase what waits in it.
"""

# ruff: noqa: S101 - a contract suite is made of asserts

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from itertools import count
from typing import Protocol

import pytest

from questline_core.broker.port import EVENT, MAX_ATTEMPTS, MESSAGE_ID, Broker, Delivery, Message, open_broker
from questline_core.errors import BrokerFull

LEASE_S = 60.0
"""Longer than a test."""
TRIED = 3


class BrokerBench(Protocol):
    """One broker that is empty at first, and ways to reach it."""

    @property
    def address(self) -> str:
        """Where another process opens the same broker."""

    @property
    def short_lease_s(self) -> float:
        """A lease that a test can outlast."""

    def open(self) -> Broker:
        """Open the broker once more, as another process would; the bench closes it."""

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the broker, by its clock or by waiting."""


def message(name: str) -> Message:
    """Make a message with this id and payload."""
    return Message(data=name.encode(), attributes={"kind": EVENT, "id": name, "name": "level_up"})


def names(deliveries: Sequence[Delivery]) -> list[str]:
    """Read the names of messages made by `message`, sorted."""
    return sorted(delivery.message.data.decode() for delivery in deliveries)


def left(bench: BrokerBench, consumer: Broker) -> list[str]:
    """Let all short leases end, and tell the names of what comes then."""
    bench.pass_time(bench.short_lease_s + 1)
    return names(consumer.pull(max_messages=1_000, lease_s=bench.short_lease_s))


def drain(broker: Broker) -> list[str]:
    """Pull and ack until there is nothing more; gives the names, sorted."""
    found: list[Delivery] = []
    while deliveries := broker.pull(max_messages=1_000, lease_s=LEASE_S):
        broker.ack([delivery.ack_id for delivery in deliveries])
        found += deliveries
    return names(found)


def publish_for_ever(address: str, **options: str) -> None:
    """Publish from 20 tasks and print each name once it is durable; runs in a process that is going to be killed."""
    broker, numbers = open_broker(address, **options), count()

    async def publish() -> None:
        for number in numbers:
            await broker.publish([message(f"m{number}")])
            print(f"m{number}", flush=True)  # noqa: T201 - read by the test

    async def publish_all() -> None:
        await asyncio.gather(*(publish() for _ in range(20)))

    asyncio.run(publish_all())


class BrokerContract:
    """At least once: what was published comes until it is acked, and one consumer at a time has it."""

    async def test_a_message_arrives_as_it_was_published(self, bench: BrokerBench) -> None:
        """Payload and attributes are the same, bit for bit."""
        odd = Message(data=bytes(range(256)), attributes={"kind": EVENT, "id": "ü/1", "trace": ""})
        await bench.open().publish([odd])

        (delivery,) = bench.open().pull(max_messages=10, lease_s=LEASE_S)

        own = {key: value for key, value in delivery.message.attributes.items() if key != MESSAGE_ID}
        assert (delivery.message.data, own) == (odd.data, odd.attributes)
        assert delivery.attempt == 1

    async def test_a_message_keeps_its_own_id_on_every_delivery(self, bench: BrokerBench) -> None:
        """Also when the same bytes were published twice."""
        consumer = bench.open()
        await consumer.publish([message("a"), message("a"), message("b")])
        await consumer.publish([message("a")])

        first = consumer.pull(max_messages=10, lease_s=bench.short_lease_s)
        bench.pass_time(bench.short_lease_s + 1)
        again = consumer.pull(max_messages=10, lease_s=bench.short_lease_s)

        ids = {delivery.message.attributes[MESSAGE_ID] for delivery in first}
        assert len(ids) == len(first)
        assert ids == {delivery.message.attributes[MESSAGE_ID] for delivery in again}

    async def test_what_is_published_outlives_the_publisher(self, bench: BrokerBench) -> None:
        """A publisher that closes leaves its messages."""
        publisher = bench.open()
        await publisher.publish([message("a"), message("b")])
        publisher.close()

        assert drain(bench.open()) == ["a", "b"]

    def test_nothing_durable_is_lost_when_the_publisher_is_killed(self, bench: BrokerBench) -> None:
        """Each name that a publisher printed after `publish` returned is there after kill -9."""
        code = f"from {__name__} import publish_for_ever; publish_for_ever({bench.address!r})"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as publisher:
            assert publisher.stdout is not None
            durable = [publisher.stdout.readline().strip() for _ in range(200)]
            publisher.kill()
            durable += publisher.stdout.read().split()[:-1]  # the last may be half a line

        delivered = drain(bench.open())

        assert set(durable) <= set(delivered)
        assert len(set(delivered)) == len(delivered)

    async def test_an_acked_message_does_not_come_again(self, bench: BrokerBench) -> None:
        """Not after the lease either."""
        consumer = bench.open()
        await consumer.publish([message("a"), message("b")])
        deliveries = consumer.pull(max_messages=10, lease_s=bench.short_lease_s)
        consumer.ack([delivery.ack_id for delivery in deliveries if delivery.message.data == b"a"])

        assert left(bench, consumer) == ["b"]

    async def test_a_second_ack_and_an_unknown_ack_are_ignored(self, bench: BrokerBench) -> None:
        """Acking is idempotent."""
        consumer = bench.open()
        await consumer.publish([message("a"), message("b")])
        first, second = consumer.pull(max_messages=10, lease_s=bench.short_lease_s)

        consumer.ack([first.ack_id, first.ack_id])
        consumer.ack([first.ack_id, "no such id", "9/9/9"])

        assert left(bench, consumer) == [second.message.data.decode()]

    async def test_a_message_comes_again_when_its_lease_ends(self, bench: BrokerBench) -> None:
        """Its consumer may have died; the attempt is counted."""
        dead, alive = bench.open(), bench.open()
        await dead.publish([message("a")])
        dead.pull(max_messages=10, lease_s=bench.short_lease_s)
        assert alive.pull(max_messages=10, lease_s=LEASE_S) == []

        bench.pass_time(bench.short_lease_s + 1)

        (again,) = alive.pull(max_messages=10, lease_s=LEASE_S)
        assert (again.message.data, again.attempt) == (b"a", 2)

    async def test_an_ack_from_before_a_redelivery_is_ignored(self, bench: BrokerBench) -> None:
        """Only the consumer that holds a message now can end it."""
        slow, other = bench.open(), bench.open()
        await slow.publish([message("a")])
        (late,) = slow.pull(max_messages=10, lease_s=bench.short_lease_s)
        bench.pass_time(bench.short_lease_s + 1)
        other.pull(max_messages=10, lease_s=bench.short_lease_s)

        slow.ack([late.ack_id])
        slow.nack([late.ack_id])

        assert slow.pull(max_messages=10, lease_s=bench.short_lease_s) == []
        assert left(bench, other) == ["a"]

    async def test_a_nacked_message_comes_again_at_once(self, bench: BrokerBench) -> None:
        """The others of its batch stay with their consumer."""
        consumer = bench.open()
        await consumer.publish([message("a"), message("b"), message("c")])
        consumer.nack([d.ack_id for d in consumer.pull(max_messages=10, lease_s=LEASE_S) if d.message.data == b"b"])

        (again,) = consumer.pull(max_messages=10, lease_s=LEASE_S)

        assert (again.message.data, again.attempt) == (b"b", 2)

    async def test_an_ack_after_a_nack_is_ignored(self, bench: BrokerBench) -> None:
        """What was given back is nobody's."""
        consumer = bench.open()
        await consumer.publish([message("a")])
        (delivery,) = consumer.pull(max_messages=10, lease_s=LEASE_S)
        consumer.nack([delivery.ack_id])

        consumer.ack([delivery.ack_id])

        assert names(consumer.pull(max_messages=10, lease_s=LEASE_S)) == ["a"]

    async def test_a_message_that_is_given_back_every_time_becomes_a_dead_letter(self, bench: BrokerBench) -> None:
        """It is out of the way, and the others still come."""
        consumer = bench.open()
        await consumer.publish([message("poison"), message("good")])
        seen: list[str] = []
        for _ in range(MAX_ATTEMPTS + 1):
            deliveries = consumer.pull(max_messages=10, lease_s=bench.short_lease_s)
            seen += names(deliveries)
            consumer.ack([d.ack_id for d in deliveries if d.message.data == b"good"])
            consumer.nack([d.ack_id for d in deliveries if d.message.data == b"poison"])

        assert seen.count("poison") == MAX_ATTEMPTS
        assert seen.count("good") == 1
        assert left(bench, consumer) == []

    async def test_a_message_that_kills_every_consumer_becomes_a_dead_letter(self, bench: BrokerBench) -> None:
        """A lease that ends counts as a try."""
        consumer = bench.open()
        await consumer.publish([message("poison")])
        for _ in range(MAX_ATTEMPTS):
            assert names(consumer.pull(max_messages=10, lease_s=bench.short_lease_s)) == ["poison"]
            bench.pass_time(bench.short_lease_s + 1)

        assert consumer.pull(max_messages=10, lease_s=bench.short_lease_s) == []

    async def test_two_consumers_never_hold_one_message(self, bench: BrokerBench) -> None:
        """Whatever the sizes that they ask for."""
        await bench.open().publish([message(f"m{i}") for i in range(100)])
        consumers = [bench.open() for _ in range(TRIED)]
        held: list[Delivery] = []
        for turn in range(100):
            if len(held) == 100:  # noqa: PLR2004 - all of them
                break
            held += consumers[turn % TRIED].pull(max_messages=turn % 7, lease_s=LEASE_S)

        assert [consumer.pull(max_messages=1, lease_s=LEASE_S) for consumer in consumers] == [[]] * TRIED
        assert names(held) == sorted(f"m{i}" for i in range(100))

    async def test_a_pull_takes_no_more_than_it_asked_for(self, bench: BrokerBench) -> None:
        """Also when much was published together."""
        consumer = bench.open()
        await consumer.publish([message(f"m{i}") for i in range(50)])

        assert len(consumer.pull(max_messages=20, lease_s=LEASE_S)) <= 20  # noqa: PLR2004 - as asked
        assert consumer.pull(max_messages=0, lease_s=LEASE_S) == []

    async def test_publishing_nothing_is_done_at_once(self, bench: BrokerBench) -> None:
        """An empty batch is no error."""
        broker = bench.open()
        await broker.publish([])

        assert broker.pull(max_messages=1, lease_s=LEASE_S) == []

    async def test_a_caller_that_gives_up_does_not_disturb_the_others(self, bench: BrokerBench) -> None:
        """Those that are published together with it, too."""
        broker = bench.open()
        impatient = asyncio.create_task(broker.publish([message("a")]))
        patient = asyncio.create_task(broker.publish([message("b")]))
        await asyncio.sleep(0)
        impatient.cancel()

        await patient

        assert "b" in drain(broker)

    async def test_a_message_that_cannot_be_stored_leaves_the_broker_working(self, bench: BrokerBench) -> None:
        """Whoever published it is told why."""
        broker = bench.open()
        with pytest.raises(BrokerFull, match="TypeError"):
            await broker.publish([Message(data=b"", attributes={"id": object()})])  # type: ignore[dict-item]

        await broker.publish([message("a")])

        assert drain(broker) == ["a"]


class CountingBrokerContract(BrokerContract):
    """What a broker promises that has its messages at hand."""

    async def test_depth_counts_what_is_not_acked(self, bench: BrokerBench) -> None:
        """Held messages count."""
        consumer = bench.open()
        assert consumer.depth() == 0
        await consumer.publish([message("a"), message("b"), message("c")])
        deliveries = consumer.pull(max_messages=2, lease_s=LEASE_S)
        assert consumer.depth() == 3  # noqa: PLR2004 - a, b and c

        consumer.ack([delivery.ack_id for delivery in deliveries])

        assert consumer.depth() == 3 - len(deliveries)

    async def test_erasing_removes_what_waits_what_is_held_and_what_is_dead(self, bench: BrokerBench) -> None:
        """And leaves the others, and what their consumer holds."""
        broker = bench.open()
        await broker.publish([message("dead"), message("dead of another")])
        for _ in range(MAX_ATTEMPTS):
            broker.nack([delivery.ack_id for delivery in broker.pull(max_messages=10, lease_s=LEASE_S)])
        await broker.publish([message("held"), message("held of another")])
        held = broker.pull(max_messages=10, lease_s=LEASE_S)
        await broker.publish([message("waits"), message("waits of another")])

        erased = broker.erase(lambda found: not found.data.endswith(b"of another"))

        assert erased == len(("dead", "held", "waits"))
        assert broker.depth() == len(held)
        assert names(broker.pull(max_messages=10, lease_s=LEASE_S)) == ["waits of another"]
        broker.ack([delivery.ack_id for delivery in held])
        assert broker.depth() == 1
        assert broker.erase(lambda found: not found.data.endswith(b"of another")) == 0
