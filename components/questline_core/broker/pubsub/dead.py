"""The dead letters of a Pub/Sub subscription: they wait in a subscription of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from questline_core.broker.dead import DeadLetter
from questline_core.broker.port import MAX_ATTEMPTS, Broker
from questline_core.broker.pubsub.adapter import open_pubsub
from questline_core.broker.pubsub.address import parse

LEASE_S = 300.0
"""How long a person may look at them; then they wait again."""


class PulledDeadLetters:
    """Dead letters that are looked at are held; what was not removed is given back at the end."""

    def __init__(self, broker: Broker) -> None:
        """Look at what the broker has: its messages are the dead letters of another."""
        self._broker = broker
        self._held = dict[str, None]()

    def find(self, limit: int) -> Sequence[DeadLetter]:
        """Look at up to `limit` dead letters that are not held yet."""
        deliveries = self._broker.pull(max_messages=limit, lease_s=LEASE_S)
        self._held.update((delivery.ack_id, None) for delivery in deliveries)
        reason = "Pub/Sub gave it up; it does not tell why"
        return [
            DeadLetter(name=delivery.ack_id, message=delivery.message, attempts=MAX_ATTEMPTS, reason=reason)
            for delivery in deliveries
        ]

    def remove(self, names: Collection[str]) -> None:
        """Acknowledge dead letters."""
        self._broker.ack(list(names))
        for name in names:
            self._held.pop(name, None)

    def close(self) -> None:
        """Give back what is held, and close the connection."""
        self._broker.nack(list(self._held))
        self._broker.close()


def open_dead_letters(address: str) -> PulledDeadLetters:
    """Open the dead letters of the subscription at an address."""
    dead = parse(address).dead
    return PulledDeadLetters(open_pubsub(f"{dead.project}/{dead.topic}/{dead.subscription}", endpoint=dead.endpoint))
