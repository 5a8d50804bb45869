"""The broker port over Pub/Sub: what it keeps of the port's promises by Google's means, and what it cannot.

- A message is durable when Pub/Sub has answered. A publish of more than 1,000 messages, or one whose answer is lost,
  may be stored in part and still be refused; a repeated event is known by its id.
- A lease is held by extending Pub/Sub's acknowledgement deadline, 30 s at a time, until `lease_s` is over: a consumer
  that dies holds its messages 30 s at most. An acknowledgement after the lease is not sent. A message may come twice
  all the same, as subscriptions are at-least-once: an acknowledgement was lost, or Google delivered twice. Exactly-once
  delivery (a switch of the subscription) needs no change here, costs throughput, and holds in one region only.
- Dead letters need the subscription's policy (`ensure`, or Terraform); Pub/Sub counts the attempts, approximately.
- `depth` cannot be asked from Pub/Sub: it counts what this process holds. Use the metric
  `pubsub.googleapis.com/subscription/num_undelivered_messages`, which is some minutes late.
- Nothing can be erased before its retention ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from questline_core.broker.port import Delivery, Message
from questline_core.broker.pubsub.address import Address, parse
from questline_core.broker.pubsub.publisher import Publisher
from questline_core.broker.pubsub.setup import RETENTION_S
from questline_core.broker.pubsub.subscriber import Subscriber
from questline_core.errors import LivesOn

MAX_BYTES = 64 << 20
GIVE_UP_S = 10.0
WAIT_S = 1.0


class PubSub:
    """A topic to publish to, and perhaps a subscription to consume from."""

    def __init__(self, address: Address, *, max_bytes: int, give_up_s: float, wait_s: float) -> None:
        """See `open_pubsub`."""
        self.address = address
        self._max_bytes, self._give_up_s, self._wait_s = max_bytes, give_up_s, wait_s
        self._publisher: Publisher | None = None
        self._subscriber: Subscriber | None = None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when Pub/Sub has all messages.

        Raises:
            BrokerFull: not all messages are known to be there; send them again.
            NotReady: Pub/Sub refuses this topic or this identity, or there are no credentials.
            BadInput: a message is too large.
        """
        if self._publisher is None or self._publisher.loop is not asyncio.get_running_loop():
            self._publisher = Publisher(self.address, max_bytes=self._max_bytes, give_up_s=self._give_up_s)
        if messages:
            await self._publisher.publish(messages)

    def pull(self, *, max_messages: int, lease_s: float) -> list[Delivery]:
        """Take up to `max_messages` that nobody holds; empty when there are none now.

        Raises:
            NotReady: Pub/Sub refuses, or cannot be reached.
            BadInput: the address has no subscription.
        """
        return self._consumer().pull(max_messages=max_messages, lease_s=lease_s)

    def ack(self, ack_ids: Sequence[str]) -> None:
        """Mark deliveries as done; ids that are unknown to this process, or whose lease is over, are ignored."""
        self._consumer().ack(ack_ids)

    def nack(self, ack_ids: Sequence[str]) -> None:
        """Give deliveries back, to be delivered again at once or to the dead-letter topic."""
        self._consumer().nack(ack_ids)

    def depth(self) -> int:
        """Count what this process holds; Pub/Sub does not tell how much waits (see the module)."""
        return self._consumer().held()

    def erase(self, matches: Callable[[Message], bool]) -> int:  # noqa: ARG002 - nothing can be looked at
        """Refuse.

        Raises:
            LivesOn: always; tells until when Pub/Sub may hold what was published before now.
        """
        until = datetime.now(tz=UTC) + timedelta(seconds=RETENTION_S)
        raise LivesOn(
            f"Pub/Sub cannot remove messages from {self.address.topic_path}: those that nobody acknowledged live until "
            f"{until:%Y-%m-%d %H:%M} UTC at the latest; let the stream run, which drops events of forgotten players"
        )

    def close(self) -> None:
        """Release channels and threads; what Pub/Sub has stays."""
        if self._publisher is not None:
            self._publisher.close()
        if self._subscriber is not None:
            self._subscriber.close()

    def _consumer(self) -> Subscriber:
        if self._subscriber is None:
            self._subscriber = Subscriber(self.address, wait_s=self._wait_s)
        return self._subscriber


def open_pubsub(  # noqa: PLR0913 - each is one knob of Pub/Sub
    address: str,
    *,
    endpoint: str = "",
    max_bytes: int = MAX_BYTES,
    give_up_s: float = GIVE_UP_S,
    wait_s: float = WAIT_S,
    process: str = "",  # noqa: ARG001 - processes that publish share the topic
) -> PubSub:
    """Open a topic and perhaps a subscription; nothing is asked from Pub/Sub before the first use.

    Args:
        address: `PROJECT/TOPIC[/SUBSCRIPTION][?endpoint=HOST:PORT]`.
        endpoint: `HOST:PORT` of an emulator; without it, Google is called with the application's default credentials.
        max_bytes: messages of this size in total may wait; then publishing is refused.
        give_up_s: a request is tried this long.
        wait_s: a pull waits this long for its first message.
        process: has no meaning here.

    Raises:
        BadInput: the address is not understood.
    """
    return PubSub(parse(address, endpoint=endpoint), max_bytes=max_bytes, give_up_s=give_up_s, wait_s=wait_s)
