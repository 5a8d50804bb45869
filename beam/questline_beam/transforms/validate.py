"""Validate: only events that keep the contract go on."""

from __future__ import annotations

from functools import partial

import apache_beam as beam
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Batch
from questline_beam.transforms.decode import Arrived
from questline_beam.transforms.rejects import now_micros, rejected
from questline_core.events.checks import check, complete
from questline_core.pb.broker_pb2 import Reject


def validate(batch: Batch[Arrived], *, title: str) -> tuple[Batch[Arrived], Batch[Reject]]:
    """Check a batch, and complete what did not come through the gateway, which completes events itself."""
    kept = Batch[Arrived]()
    rejects = Batch[Reject]()
    for arrived in batch:
        event = arrived.event
        if problem := check(event):
            rejects.append(rejected(arrived.message, problem, event_id=event.event_id, title=event.title))
            continue
        if not (event.title and event.received_time and event.event_date):
            complete(event, title=title, received_time=event.received_time or now_micros())
        kept.append(arrived)
    return kept, rejects


class Validate(
    beam.PTransform[PCollection[Batch[Arrived]], tuple[PCollection[Batch[Arrived]], PCollection[Batch[Reject]]]]
):
    """Batches of events lose what breaks the contract; returns the rest, and the rejects."""

    def __init__(self, *, title: str) -> None:
        """Set the title of events that bring none."""
        super().__init__()
        self._title = title

    def expand(
        self, events: PCollection[Batch[Arrived]]
    ) -> tuple[PCollection[Batch[Arrived]], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = events | "Check the contract" >> sides_of(partial(validate, title=self._title), kept=Batch)
        return sides.kept, sides.rejected
