"""Pub/Sub keeps the rules of every broker: Google's emulator says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from questline_core.broker.port import Broker, open_broker
from questline_core.broker.pubsub import ensure
from questline_core.testing.broker_contract import BrokerContract

numbers = count()


class PubSubBench:
    """A topic of its own, with a subscription and a place for dead letters."""

    short_lease_s = 2.0

    def __init__(self, emulator: str) -> None:
        number = next(numbers)
        where = f"questline/topic{number}/stream{number}"
        self.address = f"pubsub:{where}?endpoint={emulator}"
        ensure(where, endpoint=emulator)
        self._opened: list[Broker] = []

    def open(self) -> Broker:
        broker = open_broker(self.address, wait_s=0.5)
        self._opened.append(broker)
        return broker

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        for broker in self._opened:
            broker.close()


@pytest.fixture
def bench(emulator: str) -> Iterator[PubSubBench]:
    bench = PubSubBench(emulator)
    yield bench
    bench.close()


class TestPubSub(BrokerContract):
    pass
