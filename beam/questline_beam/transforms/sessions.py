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
from questline_core.events.sessions import Session, each_event, joined, quiet_at_us, session_rows

_OPEN = ReadModifyWriteStateSpec("open", PickleCoder())
_CLOSE = TimerSpec("close", TimeDomain.WATERMARK)
_OPEN_STATE, _CLOSE_TIMER = beam.DoFn.StateParam(_OPEN), beam.DoFn.TimerParam(_CLOSE)


class FoldSessions(beam.DoFn):
    """Keeps a player's open sessions, and gives them away when nothing has come of the player in 30 minutes."""

    def process(
        self,
        keyed: tuple[str, Session],
        opened: Any = _OPEN_STATE,
        close: Any = _CLOSE_TIMER,
    ) -> None:
        """Add an event."""
        _keep(joined([*(opened.read() or ()), keyed[1]]), opened, close)

    @on_timer(_CLOSE)
    def close_quiet(
        self,
        at: Any = beam.DoFn.TimestampParam,
        opened: Any = _OPEN_STATE,
        close: Any = _CLOSE_TIMER,
    ) -> Iterator[Session]:
        """Yield sessions that have been quiet long enough."""
        still_open = list[list[Session]]()
        for came in joined(opened.read() or ()):
            if quiet_at_us(came) > at.micros:
                still_open.append(came)
            else:
                yield from came
        if still_open:
            _keep(still_open, opened, close)
        else:
            opened.clear()


def _keep(gone: list[list[Session]], opened: Any, close: Any) -> None:
    opened.write([session for came in gone for session in came])
    close.set(Timestamp(micros=min(map(quiet_at_us, gone))))


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
