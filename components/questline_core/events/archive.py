"""Read the archive in the cloud: the Avro files that a Cloud Storage subscription of Pub/Sub writes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import fsspec
from google.protobuf.message import DecodeError

from questline_core.broker.port import MESSAGE_ID, REJECT, SERVED, Message
from questline_core.errors import BadInput
from questline_core.events.remake import Gathered
from questline_core.pb.telemetry_pb2 import Event
from questline_core.places import is_bucket, reach

Reader = Callable[[Any, str, Gathered], Iterator[tuple[str, Event]]]
"""Reads an open file of a name: gives where each event is and the event, and counts what is none."""


def messages_of(record: Mapping[str, Any]) -> Iterator[Message]:
    """Give the message of a record, if it is an event: rejects are left to `questline rejects`."""
    attributes = record.get("attributes") or {}
    if attributes.get("kind") not in {REJECT, SERVED}:
        yield Message(data=record["data"], attributes={**attributes, MESSAGE_ID: record.get("message_id", "")})


def archived(file: Any, name: str, found: Gathered) -> Iterator[tuple[str, Event]]:
    """Read one file of the archive."""
    import fastavro  # noqa: PLC0415 - only an archive needs it

    for number, record in enumerate(cast("Iterator[dict[str, Any]]", fastavro.reader(file)), 1):
        where = f"{name}, message {number}"
        for message in messages_of(record):
            try:
                event = Event.FromString(message.data)
            except DecodeError:
                found.spoil(where, "the data is no serialized event")
                continue
            yield where, event


def gather(sources: Sequence[str], found: Gathered, *, title: str, read: Reader = archived) -> Gathered:
    """Read files or URLs, in which * is known, for the events of the days that are wanted.

    Raises:
        BadInput: a source cannot be read.
    """
    for source in sources:
        reading = source
        if is_bucket(source):
            reach(source)
        try:
            for file in fsspec.open_files(source, "rb", compression="infer"):
                reading = file.path
                with file as opened:
                    for where, event in read(opened, file.path, found):
                        found.take(where, event, title=title)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BadInput(
                f"cannot read {reading} ({error}); name files or URLs, such as gs://bucket/day/*.avro"
            ) from None
    return found
