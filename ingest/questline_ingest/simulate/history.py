"""The whole history of a world as one stream of events in order of time, with what clients send twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.broken import with_broken
from questline_ingest.simulate.calendar import Plan, plans
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.sitting import play
from questline_ingest.simulate.world import SECOND, World

RESENT_AFTER_S = 60
"""A client that got no answer sends again after about so many seconds of its own time."""


def simulate(world: World) -> Iterator[Event]:
    """Generate the events of a world in order of `event_timestamp`, every one marked `origin="generated"`.

    A resent event comes again some seconds later with the same id and the same bytes. Memory holds the players who
    will come back and the sittings that are open, never the history.
    """
    return with_resends(world, with_broken(world, in_order(world, plans(world))))


def in_order(world: World, sittings: Iterable[Plan]) -> Iterator[Event]:
    """Play sittings as their time comes and merge their events; who still plays does not start anew."""
    waiting: list[tuple[int, int, Event]] = []
    number = count()
    for plan in sittings:
        while waiting and waiting[0][0] < plan.start:
            yield heappop(waiting)[2]
        if plan.player.free_at > plan.start:
            continue
        for event in play(world, plan):
            if event.event_timestamp < world.end:
                heappush(waiting, (event.event_timestamp, next(number), event))
    while waiting:
        yield heappop(waiting)[2]


def with_resends(world: World, events: Iterable[Event]) -> Iterator[Event]:
    """Repeat a share of the events a little later, as a client does whose answer got lost."""
    dice = Dice(world.key("resends"))
    waiting: list[tuple[int, int, Event]] = []
    number = count()
    for event in events:
        while waiting and waiting[0][0] <= event.event_timestamp:
            yield heappop(waiting)[2]
        if dice.happens(world.resend_rate):
            copy = Event()
            copy.CopyFrom(event)
            due = event.event_timestamp + int(dice.about(RESENT_AFTER_S, 1) * SECOND)
            heappush(waiting, (due, next(number), copy))
        yield event
    while waiting:
        yield heappop(waiting)[2]
