"""A broker in memory that can be told to be slow, full or broken: nothing of it outlives the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from questline_core.broker.port import MAX_ATTEMPTS, Delivery, Message


class MemoryBroker:
    """Keeps what is published, and does as it is told.

    Attributes:
        published: every message that was taken, oldest first.
        dead: messages that were given back `MAX_ATTEMPTS` times.
        slow_s: how long a publish takes, in seconds.
        failure: raised by every publish while it is set; nothing of the call is taken.
        known_ids: what `recent_ids` answers, as after a restart.
    """

    def __init__(self, *, slow_s: float = 0.0, failure: Exception | None = None) -> None:
        self.published: list[Message] = []
        self.dead: list[Message] = []
        self.slow_s, self.failure = slow_s, failure
        self.known_ids: list[str] = []
        self._waiting: dict[str, tuple[Message, int]] = {}
        self._held: dict[str, tuple[Message, int]] = {}
        self._numbers = count()

    async def publish(self, messages: Sequence[Message]) -> None:
        """Take the messages after `slow_s`.

        Raises:
            Exception: the `failure`, while there is one.
        """
        await asyncio.sleep(self.slow_s)
        if self.failure:
            raise self.failure
        self.published.extend(messages)
        self._waiting.update((str(next(self._numbers)), (message, 1)) for message in messages)

    def recent_ids(self, limit: int) -> list[str]:
        """Tell the newest `known_ids`."""
        return self.known_ids[-limit:]

    def pull(self, *, max_messages: int, lease_s: float) -> list[Delivery]:  # noqa: ARG002 - a lease here never ends
        """Take up to `max_messages`; they come again only after `nack`."""
        taken = list(self._waiting.items())[:max_messages]
        for ack_id, entry in taken:
            self._held[ack_id] = entry
            del self._waiting[ack_id]
        return [Delivery(message=message, ack_id=ack_id, attempt=attempt) for ack_id, (message, attempt) in taken]

    def ack(self, ack_ids: Sequence[str]) -> None:
        """Forget deliveries."""
        for ack_id in ack_ids:
            self._held.pop(ack_id, None)

    def nack(self, ack_ids: Sequence[str]) -> None:
        """Give deliveries back, or move them to `dead` after `MAX_ATTEMPTS`."""
        for ack_id in ack_ids:
            if ack_id not in self._held:
                continue
            message, attempt = self._held.pop(ack_id)
            if attempt < MAX_ATTEMPTS:
                self._waiting[ack_id] = (message, attempt + 1)
            else:
                self.dead.append(message)

    def depth(self) -> int:
        """Count what is not acked yet."""
        return len(self._waiting) + len(self._held)

    def erase(self, matches: Callable[[Message], bool]) -> int:
        """Remove what matches; also from `published`, which is not counted."""
        before = self.depth() + len(self.dead)
        for kept in (self._waiting, self._held):
            for ack_id in [ack_id for ack_id, (message, _) in kept.items() if matches(message)]:
                del kept[ack_id]
        self.dead = [message for message in self.dead if not matches(message)]
        self.published = [message for message in self.published if not matches(message)]
        return before - self.depth() - len(self.dead)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
