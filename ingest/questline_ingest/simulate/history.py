"""The events of a world as one stream in the order in which they arrive, with what clients send twice or late."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import log

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.broken import with_broken
from questline_ingest.simulate.comings import visits
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.recorder import Recorder
from questline_ingest.simulate.sitting import play
from questline_ingest.simulate.world import HOUR, SECOND, World

RESENT_AFTER_S = 60
"""A client that got no answer sends again after about so many seconds of its own time."""
LATEST_HOURS = 72
"""A device that was offline uploads within so many hours."""
_SORTED_AT_ONCE = 4_096

Arrival = tuple[int, bytes]
"""When an event arrives (microseconds UTC) and its bytes, a serialized `Event`."""
Batch = list[Arrival]
"""Some arrivals in order; what arrives later is in later batches."""


@dataclass(frozen=True, slots=True)
class Days:
    """Days of arrival (UTC), both included; they may lie beyond a world's `days`: the same players go on."""

    first: date
    last: date

    @property
    def begin(self) -> int:
        """First moment, microseconds UTC."""
        return _midnight_utc(self.first)

    @property
    def end(self) -> int:
        """First moment after them, microseconds UTC."""
        return _midnight_utc(self.last + timedelta(days=1))


def simulate(world: World, days: Days | None = None) -> Iterator[Event]:
    """Generate the events of a world, every one marked `origin="generated"`; see `arrivals`."""
    parse = Event.FromString
    return (parse(data) for _, data in arrivals(world, days))


def arrivals(world: World, days: Days | None = None) -> Iterator[Arrival]:
    """Generate the serialized events of a world in the order in which they arrive.

    An event arrives when it happens, unless its sitting is late. A resent event comes again some seconds later with the
    same id and the same bytes. Memory holds the players who will come back and the sittings that are open, never the
    history. With `days`, only what arrives on these days is given: days one by one make up the whole.
    """
    stream = in_order(world)
    if world.invalid_rate:
        stream = with_broken(world, stream)
    if world.resend_rate:
        stream = with_resends(world, stream)
    begin, end = (days.begin, days.end) if days else (0, world.end)
    for batch in stream:
        if batch[-1][0] < begin:
            continue
        yield from batch[bisect_left(batch, (begin,)) : bisect_left(batch, (end,))]
        if batch[-1][0] >= end:
            return


def in_order(world: World) -> Iterator[Batch]:
    """Play sittings as their time comes and put their events in order, without end."""
    waiting: Batch = []
    late, ripe = Dice(world.key("late")), _SORTED_AT_ONCE
    for start, player in visits(world):
        if len(waiting) >= ripe:
            waiting.sort()
            done = bisect_left(waiting, (start,))
            if done:
                yield waiting[:done]
                del waiting[:done]
            ripe = len(waiting) + _SORTED_AT_ONCE
        delay = int((1 + late.random() * (LATEST_HOURS - 1)) * HOUR) if late.random() < world.late_rate else 0
        record = Recorder(world, player, start, upload_delay=delay)
        play(world, player, record, start)
        waiting += [(max(at, start + delay), data) for at, data in record.events] if delay else record.events


def with_resends(world: World, stream: Iterable[Batch]) -> Iterator[Batch]:
    """Repeat a share of the events a little later, as a client does whose answer got lost."""
    dice = Dice(world.key("resends"))
    waiting: Batch = []
    index = _until_next(dice, world.resend_rate)
    for batch in stream:
        while index < len(batch):
            at, data = batch[index]
            waiting.append((at + int(dice.about(RESENT_AFTER_S, 1) * SECOND) + 1, data))
            index += 1 + _until_next(dice, world.resend_rate)
        index -= len(batch)
        waiting.sort()
        due = bisect_left(waiting, batch[-1])
        yield sorted(batch + waiting[:due])
        del waiting[:due]


def _until_next(dice: Dice, rate: float) -> int:
    """Throw how many events come before the next one that this share of them is."""
    return 0 if rate >= 1 else int(log(1 - dice.random()) / log(1 - rate))


def _midnight_utc(day: date) -> int:
    return int(datetime.combine(day, time(), tzinfo=UTC).timestamp()) * SECOND
