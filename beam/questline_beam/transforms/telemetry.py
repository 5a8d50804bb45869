"""Telemetry: the whole way from the broker's messages to rows, whatever brings the messages and takes the rows."""

from __future__ import annotations

from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batches import Batch
from questline_beam.transforms.decode import Decode
from questline_beam.transforms.deduplicate import Deduplicate
from questline_beam.transforms.rejects import RejectRows
from questline_beam.transforms.rows import Rows
from questline_beam.transforms.validate import Validate
from questline_core.broker.port import Message


class TelemetryOutput(NamedTuple):
    """What comes out; each message that went in is in one of the three."""

    rows: PCollection[pa.Table]
    """Tables of `telemetry.events`."""
    rejects: PCollection[pa.Table]
    """Tables of `telemetry.rejects`."""
    duplicates: PCollection[int]
    """Whole numbers: copies that were dropped."""


class TelemetryRows(beam.PTransform[PCollection[Batch[Message]], TelemetryOutput]):
    """Batches of messages become tables of events and of rejects."""

    def __init__(self, *, title: str) -> None:
        """Set the title of events that bring none."""
        super().__init__()
        self._title = title

    def expand(self, messages: PCollection[Batch[Message]]) -> TelemetryOutput:
        """See the class."""
        events, garbage = messages | "Decode" >> Decode()
        valid, invalid = events | "Validate" >> Validate(title=self._title)
        unique, duplicates = valid | "Deduplicate" >> Deduplicate()
        rows, unstorable = unique | "Rows" >> Rows()
        rejects = (garbage, invalid, unstorable) | "All rejects" >> beam.Flatten()
        return TelemetryOutput(rows, rejects | "Reject rows" >> RejectRows(), duplicates)
