"""Sessions: what a player did between two silences of 30 minutes, as one row; and how events fold into it.

A player's events are parted twice. By their arrival: when nothing has come of a player for 30 minutes, what came is
folded, and stays as it is. Then by their own time: what a phone kept while it was offline comes in one go, hours late,
and is still one session. So a late event of a session that is over becomes a session of its own, and the same events
give the same sessions whatever folds them, here one by one, in `sql/sessions.sql` the events of a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute

from questline_core.privacy.forgotten import PLAYER, Forgotten
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

SESSIONS = "telemetry.sessions"
SESSION_KEY = "session_key"
QUIET_US = 30 * 60 * 1_000_000
"""A silence of this length ends a session."""
MOST_MS = 86_400_000
"""Engagement that one event can tell: a day; more, or less than nothing, is a wrong number and counts as none."""
_PUT_IN_PLACE = f"""
MERGE {SESSIONS} AS old
USING fresh AS new
ON old.session_key = new.session_key AND old.ended = new.ended AND old.events = new.events
  AND old.engagement_ms = new.engagement_ms
WHEN NOT MATCHED THEN INSERT ROW
WHEN NOT MATCHED BY SOURCE AND (@everyone OR old.user_pseudo_id IN UNNEST(@players)) THEN DELETE
"""
_TIME = pa.timestamp("us", "UTC")
_FIELDS: list[pa.Field[Any]] = [
    pa.field(SESSION_KEY, pa.string(), nullable=False),
    pa.field("title", pa.string(), nullable=False),
    pa.field("user_pseudo_id", pa.string(), nullable=False),
    pa.field("session_date", pa.date32(), nullable=False),
    pa.field("started", _TIME, nullable=False),
    pa.field("ended", _TIME, nullable=False),
    pa.field("events", pa.int64(), nullable=False),
    pa.field("engagement_ms", pa.int64(), nullable=False),
    pa.field("platform", pa.string()),
    pa.field("country", pa.string()),
    pa.field("app_version", pa.string()),
    pa.field("is_test", pa.bool_()),
]
SESSION_SCHEMA = pa.schema(_FIELDS)
_AS_THEY_ARE = (
    "title",
    "user_pseudo_id",
    "events",
    "engagement_ms",
    "platform",
    "country",
    "app_version",
    "is_test",
)
"""Columns that a session has under the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Some events of one player without a silence between them; one event is a session, too."""

    title: str
    user_pseudo_id: str
    started_us: int
    ended_us: int
    """Times of the first and the last event by the events' own clock, microseconds since 1970-01-01 UTC."""
    came_us: int
    arrived_us: int
    """When the first and the last of them came, by the gateway's clock."""
    first_event: str
    """Id of the event that started it; of two at the same time, the lesser."""
    events: int
    engagement_ms: int
    platform: str | None
    country: str | None
    app_version: str | None
    """The last three, and the next, as that event has them."""
    is_test: bool | None

    @property
    def player(self) -> str:
        """Whose session: one player of two games has two."""
        return f"{self.title}\n{self.user_pseudo_id}"

    @property
    def key(self) -> str:
        """Name the session, the same whenever the same events are folded."""
        named = f"{self.player}\n{self.started_us}\n{self.came_us}"
        return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()

    def plus(self, later: Session) -> Session:
        """Join with a session of the same player that starts no earlier."""
        return replace(
            self,
            ended_us=max(self.ended_us, later.ended_us),
            came_us=min(self.came_us, later.came_us),
            arrived_us=max(self.arrived_us, later.arrived_us),
            events=self.events + later.events,
            engagement_ms=self.engagement_ms + later.engagement_ms,
        )


def each_event(rows: pa.Table) -> list[Session]:
    """Make a session of each row of `telemetry.events`."""
    columns = (
        rows["title"],
        rows["user_pseudo_id"],
        rows["event_id"],
        rows["event_timestamp"],
        rows["received_time"].cast(pa.int64()),
        engagement_ms(rows["event_params"]),
        rows["platform"],
        pc.struct_field(rows["geo"], "country"),
        pc.struct_field(rows["app_info"], "version"),
        rows["is_test"],
    )
    return [
        Session(
            title=title,
            user_pseudo_id=player,
            started_us=at,
            ended_us=at,
            came_us=arrived,
            arrived_us=arrived,
            first_event=event_id,
            events=1,
            engagement_ms=engaged,
            platform=platform,
            country=country,
            app_version=version,
            is_test=test,
        )
        for title, player, event_id, at, arrived, engaged, platform, country, version, test in zip(
            *(column.to_pylist() for column in columns), strict=True
        )
    ]


def engagement_ms(params: pa.ChunkedArray[Any]) -> Any:
    """Read the param `engagement_time_msec` of each event, the largest if there are several; 0 where there is none."""
    lists: Any = params.combine_chunks()
    entries = lists.flatten()
    ms = pc.struct_field(entries, ["value", "int_value"])
    told = pc.and_(pc.greater_equal(ms, 0), pc.less_equal(ms, MOST_MS))
    wanted = pc.and_(pc.equal(pc.struct_field(entries, "key"), "engagement_time_msec"), told)
    given = pa.table({"row": pc.filter(pc.list_parent_indices(lists), wanted), "ms": pc.filter(ms, wanted)})
    most = given.group_by("row").aggregate([("ms", "max")])
    by_row = dict(zip(most["row"].to_pylist(), most["ms_max"].to_pylist(), strict=True))
    return pa.array([by_row.get(row, 0) for row in range(len(lists))], pa.int64())


def joined(sessions: Iterable[Session]) -> list[list[Session]]:
    """Join sessions of one player, in any order: those that came in one go, and that no silence parts.

    Returns:
        What came in one go, in order of arrival, each as sessions in order of time.
    """
    gone: list[list[Session]] = []
    last_us = 0
    for session in sorted(sessions, key=lambda session: session.came_us):
        if gone and session.came_us - last_us < QUIET_US:
            gone[-1].append(session)
        else:
            gone.append([session])
        last_us = max(last_us, session.arrived_us)
    return [_by_time(came) for came in gone]


def quiet_at_us(came: Sequence[Session]) -> int:
    """Tell when it is sure that nothing more comes to these sessions, which came in one go."""
    return max(session.arrived_us for session in came) + QUIET_US


def refresh_sessions(warehouse: Warehouse, players: Collection[str] | None, *, forgotten: Forgotten) -> None:
    """Fold the events in the table of these players (None = all) anew; what was folded of others stays.

    Players who are forgotten meanwhile are left out.
    """
    who = {"everyone": players is None, "players": sorted(players or ())}
    warehouse.query(f"CREATE TEMP TABLE fresh AS {sql('events/sessions.sql')}; {_PUT_IN_PLACE}", **who)
    # Events may have been read before erasure took them, and sessions written after it had looked for these.
    forgotten.refresh()
    asked = f"SELECT DISTINCT {PLAYER} FROM {SESSIONS} WHERE @everyone OR {PLAYER} IN UNNEST(@players)"  # noqa: S608 - our own names
    if gone := forgotten.among(map(str, warehouse.query(asked, **who)[PLAYER].to_pylist())):
        warehouse.erase(SESSIONS, column=PLAYER, values=gone)


def _by_time(sessions: Iterable[Session]) -> list[Session]:
    result: list[Session] = []
    for session in sorted(sessions, key=lambda session: (session.started_us, session.first_event)):
        if result and session.started_us - result[-1].ended_us < QUIET_US:
            result[-1] = result[-1].plus(session)
        else:
            result.append(session)
    return result


def session_rows(sessions: Sequence[Session]) -> pa.Table:
    """Make rows of `telemetry.sessions`."""
    columns = {name: [getattr(session, name) for session in sessions] for name in _AS_THEY_ARE}
    started = pa.array([session.started_us for session in sessions], pa.int64()).cast(_TIME)
    arrays: dict[str, Any] = {
        **columns,
        SESSION_KEY: [session.key for session in sessions],
        "started": started,
        "ended": pa.array([session.ended_us for session in sessions], pa.int64()).cast(_TIME),
        "session_date": started.cast(pa.date32()),
    }
    return pa.table([pa.array(arrays[field.name], field.type) for field in SESSION_SCHEMA], schema=SESSION_SCHEMA)
