"""Served: what models answered, as the gateway noted it, becomes a table."""

from __future__ import annotations

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection
from google.protobuf.message import DecodeError

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Batch
from questline_beam.transforms.rejects import garbage
from questline_core.broker.port import SERVED, Message
from questline_core.events.rows import to_rows
from questline_core.events.wire import read
from questline_core.pb.broker_pb2 import Reject, Served


def is_served(message: Message) -> bool:
    """Tell whether a message carries an answer of a model, and no event."""
    return message.attributes.get("kind") == SERVED


def served_rows(batch: Batch[Message]) -> tuple[pa.Table, Batch[Reject]]:
    """Make rows of the answers in a batch, and leave all other messages alone."""
    answers = [message for message in batch if is_served(message)]
    try:
        return to_rows(Served, read(Served, [message.data for message in answers])), Batch()
    except DecodeError:
        if len(batch) > 1:
            raise  # the batch is halved until what cannot be read is alone
        return to_rows(Served, read(Served, [])), Batch([garbage(answers[0], "a serialized Served")])


class ServedRows(
    beam.PTransform[PCollection[Batch[Message]], tuple[PCollection[pa.Table], PCollection[Batch[Reject]]]]
):
    """Batches of messages become tables of `telemetry.predictions`; returns these, and the rejects."""

    def expand(self, messages: PCollection[Batch[Message]]) -> tuple[PCollection[pa.Table], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = messages | "Read answers" >> sides_of(served_rows, kept=pa.Table)
        return sides.kept, sides.rejected
