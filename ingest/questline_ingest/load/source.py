"""Where the events of a load come from: simulated players or a file; each with an id and a time of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from uuid import uuid4

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.lines import lines, opened, parse
from questline_ingest.imports.values import Unreadable
from questline_ingest.simulate import World, arrivals

MAX_POOL = 50_000
"""Different events that a run takes in turns; more would measure the memory of this process."""
_DAYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What every event of a load says, whatever its source said."""

    title: str
    is_test: bool = True
    """Tests are stored and never learned from."""


class Source:
    """An endless stream of serialized events, cut into calls."""

    def __init__(self, pool: Sequence[bytes], marks: Marks, *, per_call: int) -> None:
        self._pool, self._per_call, self._marks = cycle(pool), per_call, marks
        self._run, self._number = uuid4().hex[:16], 0

    def call(self) -> list[bytes]:
        """Give the events of the next call.

        In protobuf the last value of a field wins, so that id, time and marks are set by appending them.
        """
        now_us = time.time_ns() // 1000
        marks = Event(
            event_timestamp=now_us, client_time=now_us, title=self._marks.title, is_test=self._marks.is_test
        ).SerializeToString()
        return [base + marks + self._id() for base in islice(self._pool, self._per_call)]

    def _id(self) -> bytes:
        self._number += 1
        return Event(event_id=f"load-{self._run}-{self._number}").SerializeToString()


def from_players(players: int, *, seed: int) -> list[bytes]:
    """Simulate players and take their events in the order in which they arrive.

    Raises:
        BadInput: there cannot be so many players.
    """
    start = datetime.now(UTC).date() - timedelta(days=_DAYS)
    world = World(start=start, days=_DAYS, players=players, seed=seed, resend_rate=0)
    return [data for _, data in islice(arrivals(world), MAX_POOL)]


def from_file(path: Path) -> list[bytes]:
    """Read the events of a GA4 / Firebase export, one JSON object a line; what cannot be read is an error.

    Raises:
        BadInput: the file cannot be read or holds no event.
    """
    pool = list(islice(_events(path), MAX_POOL))
    if not pool:
        raise BadInput(f"{path} holds no event; name a GA4 export with one JSON object a line")
    return pool


def _events(path: Path) -> Iterator[bytes]:
    rows = Ga4Rows(skip_unknown=True)
    with opened(path) as file:
        for line in lines(file):
            try:
                yield rows.event(parse(line.data)).SerializeToString()
            except Unreadable as error:
                raise BadInput(f"{path}, line {line.number}: {error}; only events can be replayed") from None
