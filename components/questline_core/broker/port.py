"""The broker port: what carries serialized events from the gateway to the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from questline_core.adapters import open_adapter

MAX_ATTEMPTS = 5
"""A message that was delivered this often without an acknowledgement becomes a dead letter."""

EVENT, REJECT, SERVED = "event", "reject", "served"
"""Values of the attribute `kind`: a serialized `Event`, `Reject` or `Served`."""

MESSAGE_ID = "message_id"
"""Attribute that the broker sets when it delivers: the same on every delivery of a message, and on no other message."""


# Tuples, because a batch of them is made without a step of Python for each.
class Message(NamedTuple):
    """A payload, and attributes that are read without parsing it: `kind`, `id`, `name`, `time`, `trace`.

    Many messages may share one mapping of attributes; a broker never changes it.
    """

    data: bytes
    attributes: Mapping[str, str]


class Delivery(NamedTuple):
    """A message handed to a consumer, which must ack or nack it before its lease ends."""

    message: Message
    ack_id: str
    attempt: int
    """1 on the first delivery."""


class Broker(Protocol):
    """At-least-once delivery. A delivery that is neither acked nor nacked comes again when its lease ends."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when all messages are durable.

        Raises:
            BrokerFull: the messages are to be sent again; none of this call is known to be durable.
        """

    def pull(self, *, max_messages: int, lease_s: float) -> list[Delivery]:
        """Take up to `max_messages` that nobody holds; empty when there are none now."""

    def ack(self, ack_ids: Sequence[str]) -> None:
        """Mark deliveries as done; ids that are unknown, or whose message was handed out anew, are ignored."""

    def nack(self, ack_ids: Sequence[str]) -> None:
        """Give deliveries back, to be delivered again at once or kept as dead letters after `MAX_ATTEMPTS`."""

    def depth(self) -> int:
        """Count the messages that are not acked yet, dead letters left out."""

    def erase(self, matches: Callable[[Message], bool]) -> int:
        """Remove all messages that match, waiting, held or dead, so that no disk has them, and count them.

        Args:
            matches: is also asked about payloads that cannot be read.

        Raises:
            NotReady: something could not be erased or looked at; says what, and what to do. What was found is erased.
        """

    def close(self) -> None:
        """Release files and threads; what is durable stays."""


_BROKERS = {
    "pubsub": ("questline_core.broker.pubsub:open_pubsub", "gcp"),
    "spool": ("questline_core.broker.spool:open_spool", "ingest"),
}


def open_broker(address: str, **options: Any) -> Broker:
    """Open the broker at an address such as `spool:/var/questline/spool` or `pubsub:PROJECT/TOPIC/SUBSCRIPTION`."""
    return open_adapter("broker", address, _BROKERS, **options)  # type: ignore[no-any-return]
