"""Rows: events become tables."""

from __future__ import annotations

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Arrived, Batch
from questline_core.events.rows import to_rows
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event


def encode(arrived: Arrived) -> tuple[pa.Table, Batch[Reject]]:
    """Make the rows of a batch of events that keep the contract."""
    return to_rows(Event, arrived.columns), Batch()


class Rows(beam.PTransform[PCollection[Arrived], tuple[PCollection[pa.Table], PCollection[Batch[Reject]]]]):
    """Batches of events become tables; returns these, and the rejects: events that no row can hold."""

    def expand(self, events: PCollection[Arrived]) -> tuple[PCollection[pa.Table], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = events | "Write as columns" >> sides_of(encode, kept=pa.Table)
        return sides.kept, sides.rejected
