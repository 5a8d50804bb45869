"""Telemetry: the whole way from the broker's messages to rows, whatever brings the messages and takes the rows."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batches import Batch
from questline_beam.transforms.decode import Decode
from questline_beam.transforms.deduplicate import Deduplicate
from questline_beam.transforms.once import OncePerId
from questline_beam.transforms.rows import Rows
from questline_beam.transforms.validate import Validate
from questline_core.broker.port import Message
from questline_core.pb.broker_pb2 import Reject


class TelemetryOutput(NamedTuple):
    """What comes out; each message that went in is in one of the three."""

    rows: PCollection[pa.Table]
    """Tables of `telemetry.events`."""
    rejects: PCollection[Batch[Reject]]
    """What breaks the contract."""
    duplicates: PCollection[int]
    """Whole numbers: copies that were dropped."""


class TelemetryRows(beam.PTransform[PCollection[Batch[Message]], TelemetryOutput]):
    """Batches of messages become tables of events, and rejects.

    Copies are dropped within a batch. Those of other batches are left to the key of the table, or, `once`, to the state
    of a runner that has some: a table on BigQuery knows no key.
    """

    def __init__(self, *, title: str, once: bool = False) -> None:
        """Set the title of events that bring none, and whether ids are remembered from batch to batch."""
        super().__init__()
        self._title, self._once = title, once

    def expand(self, messages: PCollection[Batch[Message]]) -> TelemetryOutput:
        """See the class."""
        events, garbage = messages | "Decode" >> Decode()
        valid, invalid = events | "Validate" >> Validate(title=self._title)
        unique, duplicates = valid | "Deduplicate" >> Deduplicate()
        if self._once:
            unique, earlier = unique | "Once" >> OncePerId(title=self._title)
            duplicates = (duplicates, earlier) | "All duplicates" >> beam.Flatten()
        rows, unstorable = unique | "Rows" >> Rows()
        rejects = (garbage, invalid, unstorable) | "All rejects" >> beam.Flatten()
        return TelemetryOutput(rows, rejects, duplicates)
