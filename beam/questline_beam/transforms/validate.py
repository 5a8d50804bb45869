"""Validate: only events that keep the contract go on."""

from __future__ import annotations

from functools import partial

import apache_beam as beam
from apache_beam.pvalue import PCollection

from questline_beam.transforms.batch_rules import sides_of
from questline_beam.transforms.batches import Arrived, Batch
from questline_beam.transforms.rejects import now_micros, rejected
from questline_core.broker.port import Message
from questline_core.events.checks import check
from questline_core.events.sieve import completed, doubtful
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event


def validate(arrived: Arrived, *, title: str, archived: bool = False) -> tuple[Arrived, Batch[Reject]]:
    """Check a batch, and complete what did not come through the gateway, which completes events itself.

    The gateway has checked most events already, so whole columns are asked whether they are surely right, and only the
    other events are looked at rule by rule. An event that does not say when it came, came now; one of an archive at its
    own time, because a time of now would make every run another.
    """
    rejects = Batch[Reject]()
    wrong = set[int]()
    for row in doubtful(arrived.columns, [len(message.data) for message in arrived.messages]):
        if reject := _problem(arrived.messages[row]):
            rejects.append(reject)
            wrong.add(row)
    if wrong:
        arrived = arrived.take([row for row in range(len(arrived)) if row not in wrong])
    now_us = None if archived else now_micros()
    return Arrived(arrived.messages, completed(arrived.columns, title=title, now_us=now_us)), rejects


def _problem(message: Message) -> Reject | None:
    event = Event.FromString(message.data)
    if problem := check(event):
        return rejected(message, problem, event_id=event.event_id, title=event.title)
    return None


class Validate(beam.PTransform[PCollection[Arrived], tuple[PCollection[Arrived], PCollection[Batch[Reject]]]]):
    """Batches of events lose what breaks the contract; returns the rest, and the rejects."""

    def __init__(self, *, title: str, archived: bool = False) -> None:
        """Set the title of events that bring none, and whether they come from an archive."""
        super().__init__()
        self._rule = partial(validate, title=title, archived=archived)

    def expand(self, events: PCollection[Arrived]) -> tuple[PCollection[Arrived], PCollection[Batch[Reject]]]:
        """See the class."""
        sides = events | "Check the contract" >> sides_of(self._rule, kept=Arrived)
        return sides.kept, sides.rejected
