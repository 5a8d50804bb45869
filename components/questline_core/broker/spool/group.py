"""One commit group: its messages as two pieces of bytes in one row, which goes with the last of them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise
from sqlite3 import Connection
from typing import NamedTuple

import orjson

from questline_core.broker.port import EVENT, Message

_messages = partial(tuple.__new__, Message)


class DamagedGroup(Exception):
    """Raised when the bytes of a group are not those that were written."""


class StoredGroup(NamedTuple):
    """A row of the table `groups` without its id: sizes and attributes as JSON in `head`, all payloads in `data`."""

    checksum: int
    head: bytes
    data: bytes


def pack(messages: Sequence[Message]) -> StoredGroup:
    """Write messages, in C for the most part.

    Raises:
        TypeError: a payload is no bytes, or an attribute cannot be written.
    """
    payloads = [message[0] for message in messages]
    head = orjson.dumps([list(map(len, payloads)), [message[1] for message in messages]])
    data = b"".join(payloads)
    return StoredGroup(_checksum(head, data), head, data)


def unpack(group: StoredGroup) -> list[Message]:
    """Read the messages back; their attributes are dictionaries of their own.

    Raises:
        DamagedGroup: the bytes changed since they were written.
    """
    checksum, head, data = group
    if checksum != _checksum(head, data):
        raise DamagedGroup("a commit group has changed since it was written")
    sizes, attributes = orjson.loads(head)
    payloads = [data[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
    return list(map(_messages, zip(payloads, attributes, strict=True)))


def stored(connection: Connection, group: int) -> StoredGroup | None:
    """Look a group up; None when nothing of it is left."""
    row = connection.execute("SELECT checksum, head, data FROM groups WHERE id = ?", (group,)).fetchone()
    return StoredGroup(*row) if row else None


def messages_of(connection: Connection, group: int) -> list[Message]:
    """Read the messages of a group; none when nothing of it is left.

    Raises:
        DamagedGroup: as `unpack`.
    """
    found = stored(connection, group)
    return unpack(found) if found else []


def drop_empty(connection: Connection, groups: Iterable[int]) -> None:
    """Remove the groups of which no slice is left."""
    connection.executemany(
        "DELETE FROM groups WHERE id = ? AND NOT EXISTS (SELECT 1 FROM slices WHERE group_id = ?)",
        [(group, group) for group in groups],
    )


def event_ids(messages: Sequence[Message]) -> list[str]:
    """Give the ids of the events among messages."""
    return [own["id"] for _, own in messages if own.get("kind") == EVENT and "id" in own]


def cut(messages: Sequence[Message], *, most_messages: int, most_bytes: int) -> Iterator[Sequence[Message]]:
    """Cut messages into runs of at most this much; a message that is larger is a run of its own."""
    for first in range(0, len(messages), most_messages):
        run = messages[first : first + most_messages]
        if sum(len(message[0]) for message in run) <= most_bytes:
            yield run
        else:
            yield from _cut_by_bytes(run, most_bytes)


def _cut_by_bytes(messages: Sequence[Message], most_bytes: int) -> Iterator[Sequence[Message]]:
    start = size = 0
    for end, message in enumerate(messages):
        if size > 0 and size + len(message.data) > most_bytes:
            yield messages[start:end]
            start, size = end, 0
        size += len(message.data)
    yield messages[start:]


def _checksum(head: bytes, data: bytes) -> int:
    return zlib.crc32(data, zlib.crc32(head))
