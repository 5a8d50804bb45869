"""Decode: bytes become events."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection
from google.protobuf.message import DecodeError

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Batch
from questline_beam.transforms.rejects import from_gateway, is_reject, rejected
from questline_core.broker.port import Message
from questline_core.events.checks import Problem
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event, and the message that brought it."""

    message: Message
    event: Event


def decode(batch: Batch[Message]) -> tuple[Batch[Arrived], Batch[Reject]]:
    """Read a batch; what the gateway rejected, and what is no event, goes to the dead-letter side."""
    arrived = Batch[Arrived]()
    rejects = Batch[Reject]()
    for message in batch:
        try:
            if is_reject(message):
                rejects.append(from_gateway(message))
            else:
                arrived.append(Arrived(message, Event.FromString(message.data)))
        except DecodeError:
            rejects.append(rejected(message, _garbage(message), event_id=message.attributes.get("id", "")))
    return arrived, rejects


def _itself(message: Message) -> Message:
    return message


def _garbage(message: Message) -> Problem:
    kind = "a serialized Reject" if is_reject(message) else "a serialized Event"
    return Problem(reason="malformed", field="", message=f"the payload is not {kind}; look at it in `payload`")


class Decode(
    beam.PTransform[PCollection[Batch[Message]], tuple[PCollection[Batch[Arrived]], PCollection[Batch[Reject]]]]
):
    """Batches of messages become batches of events; returns these, and the rejects."""

    def expand(
        self, messages: PCollection[Batch[Message]]
    ) -> tuple[PCollection[Batch[Arrived]], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = messages | "Read bytes" >> sides_of(decode, kept=Batch, message_of=_itself)
        return sides.kept, sides.rejected
