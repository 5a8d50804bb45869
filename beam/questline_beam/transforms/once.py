"""Once: an event id goes on once in 72 hours, whatever batch brings it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BooleanCoder
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from questline_beam.transforms.batches import Arrived, Batch
from questline_beam.transforms.deduplicate import DUPLICATES, UNIQUE
from questline_beam.transforms.gather import Gather
from questline_beam.transforms.rejects import now_micros
from questline_core.broker.port import Message
from questline_core.events.sieve import LATE_US, completed
from questline_core.events.wire import read
from questline_core.pb.telemetry_pb2 import Event

REMEMBERED_S = LATE_US // 1_000_000
"""An id is known this long after its event came; what comes later still is left to the key of the table."""

_SEEN = ReadModifyWriteStateSpec("seen", BooleanCoder())
_FORGET = TimerSpec("forget", TimeDomain.WATERMARK)
_SEEN_STATE, _FORGET_TIMER = beam.DoFn.StateParam(_SEEN), beam.DoFn.TimerParam(_FORGET)


class FirstOfId(beam.DoFn):
    """Lets the first message of each event id pass, and forgets the id 72 hours later: state stays bounded."""

    def process(
        self,
        keyed: tuple[str, Message],
        at: Any = beam.DoFn.TimestampParam,
        seen: Any = _SEEN_STATE,
        forget: Any = _FORGET_TIMER,
    ) -> Iterator[Any]:
        """Yield the message, or a tagged 1 for a copy."""
        if seen.read():
            yield TaggedOutput(DUPLICATES, 1)
            return
        seen.write(True)  # noqa: FBT003 - the state is a boolean
        forget.set(at + REMEMBERED_S)
        yield keyed[1]

    @on_timer(_FORGET)
    def forgotten(self, seen: Any = _SEEN_STATE) -> None:
        """Forget the id."""
        seen.clear()


def by_event_id(arrived: Arrived) -> Iterator[Any]:
    """Give each event its id as key and its arrival as time: a phone that was offline makes no event late here."""
    ids, times = arrived.columns["event_id"].to_pylist(), arrived.columns["received_time"].cast(pa.int64()).to_pylist()
    for event_id, time_us, message in zip(ids, times, arrived.messages, strict=True):
        yield TimestampedValue((event_id, message), Timestamp(micros=time_us or 0))


def reread(batch: Batch[Message], *, title: str) -> Arrived:
    """Read and complete again what went as bytes between two steps, which is cheaper than columns of one row."""
    columns = read(Event, [message.data for message in batch])
    return Arrived(batch, completed(columns, title=title, now_us=now_micros()))


class OncePerId(beam.PTransform[PCollection[Arrived], tuple[PCollection[Arrived], PCollection[int]]]):
    """Batches of events lose events that came before; returns the rest in new batches, and how many were dropped."""

    def __init__(self, *, title: str) -> None:
        """Set the title of events that bring none."""
        super().__init__()
        self._title = title

    def expand(self, events: PCollection[Arrived]) -> tuple[PCollection[Arrived], PCollection[int]]:
        """See the class."""
        remember = beam.ParDo(FirstOfId())  # type: ignore[no-untyped-call]
        sides = (
            events
            | "Key by event id" >> beam.FlatMap(by_event_id).with_output_types(tuple[str, Message])
            | "Remember ids" >> remember.with_output_types(Message).with_outputs(DUPLICATES, main=UNIQUE)
        )
        batches = sides.unique | "Batch again" >> beam.ParDo(Gather(Batch)).with_output_types(Batch)
        again = batches | "Read again" >> beam.Map(partial(reread, title=self._title)).with_output_types(Arrived)
        return again, sides.duplicates
