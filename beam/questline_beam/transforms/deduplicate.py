"""Deduplicate: one event id goes on once in a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from questline_beam.transforms.batches import Arrived
from questline_core.events.sieve import first_of_each

UNIQUE, DUPLICATES = "unique", "duplicates"


def without_copies(arrived: Arrived) -> Arrived:
    """Keep the first event of each id."""
    first = first_of_each(arrived.columns["event_id"])
    return arrived if first is None else arrived.take(first)


def _drop_copies(arrived: Arrived) -> Iterator[Any]:
    unique = without_copies(arrived)
    yield unique
    if len(unique) < len(arrived):
        yield TaggedOutput(DUPLICATES, len(arrived) - len(unique))


class Deduplicate(beam.PTransform[PCollection[Arrived], tuple[PCollection[Arrived], PCollection[int]]]):
    """Batches of events lose copies; returns the rest, and how many copies were dropped.

    Copies in other batches are left to the warehouse, whose append leaves out event ids that it has.
    """

    def expand(self, events: PCollection[Arrived]) -> tuple[PCollection[Arrived], PCollection[int]]:
        """See the class."""
        step = beam.FlatMap(_drop_copies).with_output_types(Arrived)
        sides = events | "Drop copies" >> step.with_outputs(DUPLICATES, main=UNIQUE)
        return sides.unique, sides.duplicates
