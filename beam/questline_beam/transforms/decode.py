"""Decode: bytes become columns of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection
from google.protobuf.message import DecodeError

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Arrived, Batch
from questline_beam.transforms.rejects import from_gateway, garbage, is_reject
from questline_beam.transforms.served import is_served
from questline_core.broker.port import Message
from questline_core.events.wire import read
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event


def decode(batch: Batch[Message]) -> tuple[Arrived, Batch[Reject]]:
    """Read a batch; what the gateway rejected, and what is no event, goes to the dead-letter side.

    Answers of models are left to `served`.
    """
    events, rejects = list[Message](), Batch[Reject]()
    for message in batch:
        if is_reject(message):
            rejects.append(_read_reject(message))
        elif not is_served(message):
            events.append(message)
    pieces = list(_readable(events, rejects))
    messages = [message for piece in pieces for message in piece.messages]
    tables = [piece.columns for piece in pieces] or [read(Event, [])]
    return Arrived(messages, pa.concat_tables(tables)), rejects


def _read_reject(message: Message) -> Reject:
    try:
        return from_gateway(message)
    except DecodeError:
        return garbage(message, "a serialized Reject")


def _readable(messages: Sequence[Message], rejects: Batch[Reject]) -> Iterator[Arrived]:
    """Read the messages in as few pieces as leave out those that are no events, which are added to the rejects."""
    try:
        if messages:
            yield Arrived(messages, read(Event, [message.data for message in messages]))
    except DecodeError:
        half = len(messages) // 2
        if half:
            yield from _readable(messages[:half], rejects)
            yield from _readable(messages[half:], rejects)
        else:
            rejects.append(garbage(messages[0], "a serialized Event"))


class Decode(beam.PTransform[PCollection[Batch[Message]], tuple[PCollection[Arrived], PCollection[Batch[Reject]]]]):
    """Batches of messages become columns of events; returns these, and the rejects."""

    def expand(self, messages: PCollection[Batch[Message]]) -> tuple[PCollection[Arrived], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = messages | "Read bytes" >> sides_of(decode, kept=Arrived)
        return sides.kept, sides.rejected
