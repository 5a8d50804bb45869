"""Write messages as pieces of publish requests, and queue the pieces of one ordering key."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from google.pubsub_v1.types import pubsub

from questline_core.broker.port import Message
from questline_core.errors import BadInput

REQUEST_MESSAGES, REQUEST_BYTES = 1_000, 9_000_000
"""Most of one request; Pub/Sub takes 1,000 messages and 10 MB."""

PublishRequest, PublishResponse = pubsub.PublishRequest.pb(), pubsub.PublishResponse.pb()


class Piece(NamedTuple):
    """Serialized messages. Protobuf merges what is written one after the other, so pieces are joined to a request."""

    data: bytes
    messages: int


class Waiting(NamedTuple):
    """A piece, and what its caller waits for."""

    piece: Piece
    answer: asyncio.Future[None]


@dataclass(slots=True)
class Lane:
    """What waits under one ordering key; all of it, when there is no order."""

    waiting: deque[Waiting] = field(default_factory=deque)
    messages: int = 0
    size_bytes: int = 0
    under_way: int = 0
    """Requests."""

    def add(self, waiting: Waiting) -> None:
        """Queue a piece."""
        self.waiting.append(waiting)
        self.messages += waiting.piece.messages
        self.size_bytes += len(waiting.piece.data)

    def fills_a_request(self) -> bool:
        """Tell whether a request would gain nothing by waiting."""
        return self.messages >= REQUEST_MESSAGES or self.size_bytes >= REQUEST_BYTES

    def take(self) -> list[Waiting]:
        """Take the oldest pieces, as many as one request holds."""
        taken: list[Waiting] = []
        messages = size_bytes = 0
        while self.waiting:
            data, count = self.waiting[0].piece
            messages, size_bytes = messages + count, size_bytes + len(data)
            if taken and (messages > REQUEST_MESSAGES or size_bytes > REQUEST_BYTES):
                break
            taken.append(self.waiting.popleft())
            self.messages, self.size_bytes = self.messages - count, self.size_bytes - len(data)
        return taken


def pieces(messages: Sequence[Message], *, ordering_key: str) -> Iterator[Piece]:
    """Write messages as pieces that each fit into a request.

    Raises:
        BadInput: a message alone is too large.
        TypeError: a payload is no bytes, or an attribute no text.
    """
    for first in range(0, len(messages), REQUEST_MESSAGES):
        yield from _fitting(messages[first : first + REQUEST_MESSAGES], ordering_key)


def _fitting(messages: Sequence[Message], ordering_key: str) -> Iterator[Piece]:
    data = _written(messages, ordering_key)
    if len(data) <= REQUEST_BYTES:
        yield Piece(data, len(messages))
    elif len(messages) == 1:
        raise BadInput(f"a message of {len(data):,} bytes is too large for Pub/Sub; send at most {REQUEST_BYTES:,}")
    else:
        half = len(messages) // 2
        yield from _fitting(messages[:half], ordering_key)
        yield from _fitting(messages[half:], ordering_key)


def _written(messages: Sequence[Message], ordering_key: str) -> bytes:
    request = PublishRequest()
    add = request.messages.add
    for data, own in messages:
        message = add(data=data, ordering_key=ordering_key) if ordering_key else add(data=data)
        attributes = message.attributes
        for key, value in own.items():  # `update` takes twice as long
            attributes[key] = value
    return bytes(request.SerializeToString())
