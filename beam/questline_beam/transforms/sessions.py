"""Sessions: what a player did between two silences, written once the player has been silent for 30 minutes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import PickleCoder
from apache_beam.pvalue import PCollection
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from questline_beam.transforms.gather import Gather
from questline_core.events.sessions import QUIET_US, Session, each_event, joined, session_rows

_OPEN = ReadModifyWriteStateSpec("open", PickleCoder())
_CLOSE = TimerSpec("close", TimeDomain.WATERMARK)
_OPEN_STATE, _CLOSE_TIMER = beam.DoFn.StateParam(_OPEN), beam.DoFn.TimerParam(_CLOSE)


class FoldSessions(beam.DoFn):
    """Keeps a player's open sessions, and gives one away when nothing has come for it in 30 minutes.

    Events are joined by their own time, and a session is closed by the time of arrival: what a phone kept while it was
    offline comes in one go, hours late, and is still one session.
    """

    def process(
        self,
        keyed: tuple[str, Session],
        opened: Any = _OPEN_STATE,
        close: Any = _CLOSE_TIMER,
    ) -> None:
        """Add an event."""
        sessions = joined([*(opened.read() or ()), keyed[1]])
        opened.write(sessions)
        close.set(_first_end(sessions))

    @on_timer(_CLOSE)
    def close_quiet(
        self,
        at: Any = beam.DoFn.TimestampParam,
        opened: Any = _OPEN_STATE,
        close: Any = _CLOSE_TIMER,
    ) -> Iterator[Session]:
        """Yield sessions that have been quiet long enough."""
        sessions = opened.read() or ()
        still_open = [session for session in sessions if session.arrived_us + QUIET_US > at.micros]
        yield from (session for session in sessions if session not in still_open)
        if still_open:
            opened.write(still_open)
            close.set(_first_end(still_open))
        else:
            opened.clear()


def _first_end(sessions: list[Session]) -> Timestamp:
    return Timestamp(micros=min(session.arrived_us for session in sessions) + QUIET_US)


def by_player(rows: pa.Table) -> Iterator[Any]:
    """Give each event its player as key and its arrival as time."""
    for session in each_event(rows):
        yield TimestampedValue((session.player, session), Timestamp(micros=session.arrived_us))


class Sessions(beam.PTransform[PCollection[pa.Table], PCollection[pa.Table]]):
    """Tables of `telemetry.events` become tables of `telemetry.sessions`."""

    def expand(self, rows: PCollection[pa.Table]) -> PCollection[pa.Table]:
        """See the class."""
        return (
            rows
            | "Key by player" >> beam.FlatMap(by_player).with_output_types(tuple[str, Session])
            | "Fold" >> beam.ParDo(FoldSessions()).with_output_types(Session)  # type: ignore[no-untyped-call]
            | "Write as columns" >> beam.ParDo(Gather(session_rows)).with_output_types(pa.Table)
        )
