"""Queue messages, and write them as publish requests."""

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

ATTRIBUTES_BYTES = 512
"""Room for the attributes of a message; those of the gateway take 200 to 400."""

PublishRequest, PublishResponse = pubsub.PublishRequest.pb(), pubsub.PublishResponse.pb()


class Waiting(NamedTuple):
    """Messages of one publish, and what its caller waits for."""

    messages: Sequence[Message]
    size_bytes: int
    answer: asyncio.Future[None]


@dataclass(slots=True)
class Lane:
    """What waits to be published, and what is under way."""

    waiting: deque[Waiting] = field(default_factory=deque)
    messages: int = 0
    size_bytes: int = 0
    under_way: int = 0
    """Requests."""

    def add(self, waiting: Waiting) -> None:
        """Queue one publish."""
        messages, size, _ = waiting
        self.waiting.append(waiting)
        self.messages += len(messages)
        self.size_bytes += size

    def fills_a_request(self) -> bool:
        """Tell whether a request would gain nothing by waiting."""
        return self.messages >= REQUEST_MESSAGES or self.size_bytes >= REQUEST_BYTES

    def take(self) -> list[Waiting]:
        """Take the oldest, as many as one request holds."""
        taken: list[Waiting] = []
        messages = size_bytes = 0
        while self.waiting:
            own, own_bytes, _ = self.waiting[0]
            messages, size_bytes = messages + len(own), size_bytes + own_bytes
            if taken and (messages > REQUEST_MESSAGES or size_bytes > REQUEST_BYTES):
                break
            taken.append(self.waiting.popleft())
            self.messages, self.size_bytes = self.messages - len(own), self.size_bytes - own_bytes
        return taken


def size_bytes(messages: Sequence[Message]) -> int:
    """Estimate what messages take on the wire, rather too much."""
    return sum([len(message[0]) for message in messages]) + ATTRIBUTES_BYTES * len(messages)


def cut(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """Cut messages into runs that each fit into a request.

    Raises:
        BadInput: a message alone is too large.
    """
    if len(messages) <= REQUEST_MESSAGES and (wanted := size_bytes(messages)) <= REQUEST_BYTES:
        yield messages
    elif len(messages) == 1:
        raise BadInput(f"a message of {wanted:,} bytes is too large for Pub/Sub; send at most {REQUEST_BYTES:,}")
    else:
        half = len(messages) // 2
        yield from cut(messages[:half])
        yield from cut(messages[half:])


def written(topic: str, taken: Sequence[Waiting]) -> bytes:
    """Write a request.

    Raises:
        TypeError: a payload is no bytes, or an attribute no text.
    """
    request = PublishRequest(topic=topic)
    add = request.messages.add
    for waiting in taken:
        for data, own in waiting.messages:
            attributes = add(data=data).attributes
            for key, value in own.items():  # `update` takes twice as long
                attributes[key] = value
    return bytes(request.SerializeToString())
