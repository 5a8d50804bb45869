"""Run the stream's rules in this process, on each batch that the driver pulls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pyarrow as pa
from apache_beam.pvalue import TaggedOutput

from questline_beam.tables import EVENT_SCHEMA, PREDICTION_SCHEMA
from questline_beam.transforms.batch_rules import ApplyRule
from questline_beam.transforms.batches import Batch
from questline_beam.transforms.decode import decode
from questline_beam.transforms.deduplicate import without_copies
from questline_beam.transforms.rejects import to_reject_table
from questline_beam.transforms.rows import encode
from questline_beam.transforms.served import served_rows
from questline_beam.transforms.validate import validate
from questline_core.broker.port import Message
from questline_core.pb.broker_pb2 import Reject


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch of messages became: messages = rows + predictions + rejects + duplicates."""

    rows: pa.Table
    predictions: pa.Table
    rejects: pa.Table
    duplicates: int
    """Copies within the batch that were seen without the warehouse."""


@dataclass(slots=True)
class _Run:
    """One batch on its way; rejects gather beside it."""

    rejects: Batch[Reject] = field(default_factory=Batch)

    def through(self, step: ApplyRule, batch: Any) -> Iterator[Any]:
        """Apply a rule as Beam would, and give what goes on."""
        for result in step.process(batch):
            if isinstance(result, TaggedOutput):
                self.rejects.extend(result.value)
            else:
                yield result


class EmbeddedRows:
    """The rules of `TelemetryRows`, one after another without a runner.

    A runner in this process (`FnApiRunner`) takes 0.05 s a batch, which is as much as the rules take for thousands of
    events. The steps are the same objects, and a test compares the rows with those of a real runner.
    """

    def __init__(self, *, title: str) -> None:
        """Prepare the steps; `title` is that of events that bring none."""
        self._decode, self._encode = ApplyRule(decode), ApplyRule(encode)
        self._served = ApplyRule(served_rows)
        self._validate = ApplyRule(partial(validate, title=title))

    def run(self, messages: Sequence[Message]) -> Outcome:
        """Make rows, predictions and rejects of these messages; nothing is stored yet."""
        run, rows, duplicates = _Run(), [EVENT_SCHEMA.empty_table()], 0
        for read in run.through(self._decode, Batch(messages)) if messages else ():
            for valid in run.through(self._validate, read):
                unique = without_copies(valid)
                duplicates += len(valid) - len(unique)
                rows += run.through(self._encode, unique)
        answers = [PREDICTION_SCHEMA.empty_table(), *run.through(self._served, Batch(messages))]
        return Outcome(
            rows=pa.concat_tables(rows),
            predictions=pa.concat_tables(answers),
            rejects=to_reject_table(run.rejects),
            duplicates=duplicates,
        )
