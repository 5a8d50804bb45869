"""Which events are durable already: a bounded window of event ids, and the ids that are being stored right now."""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from hashlib import blake2b

Key = str | bytes
"""What stands for an event id: itself, or 16 bytes for a long one."""

_LONGEST_KEPT = 40
"""Characters of an id that is remembered as it is, which is cheaper than its digest; a UUID has 36."""

Ticket = Future[bool]
"""Resolves to whether one publish made its messages durable."""


class Known(Enum):
    """What is known of an event id without waiting."""

    NEW = "new"
    DURABLE = "durable"


def key_of(event_id: str) -> Key:
    """Shorten an event id to what is remembered of it."""
    return event_id if len(event_id) <= _LONGEST_KEPT else blake2b(event_id.encode(), digest_size=16).digest()


def keys_of(event_ids: Sequence[str]) -> Sequence[Key]:
    """Shorten ids as `key_of` does."""
    return event_ids if max(map(len, event_ids), default=0) <= _LONGEST_KEPT else list(map(key_of, event_ids))


class Window:
    """A set of keys that forgets the oldest beyond its limit.

    Attributes:
        keys: what is remembered, to ask for many without a call each.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._order: deque[Key] = deque()
        self.keys: set[Key] = set()

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: Key) -> bool:
        return key in self.keys

    def add(self, *keys: Key) -> None:
        """Remember keys as the newest, the last of them as the very newest, unless they are known."""
        fresh = [key for key in dict.fromkeys(keys) if key not in self.keys]
        self._order.extend(fresh)
        self.keys.update(fresh)
        while len(self._order) > self._limit:
            self.keys.discard(self._order.popleft())


class RecentIds:
    """The newest `limit` ids; older ones are left to the warehouse, where an id is one row anyway."""

    def __init__(self, limit: int, ids: Iterable[str] = ()) -> None:
        self._durable = Window(limit)
        self._pending: dict[Key, Ticket] = {}
        self._durable.add(*map(key_of, ids))

    def claim_all(self, keys: Sequence[Key], ticket: Ticket) -> bool:
        """Claim ids for the publish of this ticket if each is new and named once, and tell so; else claim none."""
        if not (self._durable.keys.isdisjoint(keys) and self._pending.keys().isdisjoint(keys)):
            return False
        claims = dict.fromkeys(keys, ticket)
        if len(claims) < len(keys):
            return False
        self._pending.update(claims)
        return True

    def claim(self, key: Key, ticket: Ticket) -> Known | Ticket:
        """Claim an id for the publish of this ticket.

        Returns:
            NEW: the id is claimed, and `settle` must follow. DURABLE: it is stored. A ticket: the publish, perhaps this
            one, that is storing it now.
        """
        if key in self._durable.keys:
            return Known.DURABLE
        holder = self._pending.get(key)
        if holder is not None:
            return holder
        self._pending[key] = ticket
        return Known.NEW

    def settle(self, keys: Iterable[Key], ticket: Ticket, *, durable: bool) -> None:
        """End the claims of a ticket: remember the ids if they are durable now, and tell everyone who waits."""
        for key in keys:
            del self._pending[key]
        if durable:
            self._durable.add(*keys)
        ticket.set_result(durable)
