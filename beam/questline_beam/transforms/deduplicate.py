"""Deduplicate: one event id goes on once in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from questline_beam.transforms.batches import Batch
from questline_beam.transforms.decode import Arrived

UNIQUE, DUPLICATES = "unique", "duplicates"


def without_copies(batch: Batch[Arrived]) -> Batch[Arrived]:
    """Keep the first event of each id."""
    first: dict[str, Arrived] = {}
    for arrived in batch:
        first.setdefault(arrived.event.event_id, arrived)
    return Batch(first.values())


def _drop_copies(batch: Batch[Arrived]) -> Iterator[Any]:
    unique = without_copies(batch)
    yield unique
    if len(unique) < len(batch):
        yield TaggedOutput(DUPLICATES, len(batch) - len(unique))


class Deduplicate(beam.PTransform[PCollection[Batch[Arrived]], tuple[PCollection[Batch[Arrived]], PCollection[int]]]):
    """Batches of events lose copies; returns the rest, and how many copies were dropped.

    Copies in other batches are left to the warehouse, whose append leaves out event ids that it has.
    """

    def expand(self, events: PCollection[Batch[Arrived]]) -> tuple[PCollection[Batch[Arrived]], PCollection[int]]:
        """See the class."""
        step = beam.FlatMap(_drop_copies).with_output_types(Batch)
        sides = events | "Drop copies" >> step.with_outputs(DUPLICATES, main=UNIQUE)
        return sides.unique, sides.duplicates
