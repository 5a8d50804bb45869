"""Sessions: what a player did between two silences of 30 minutes, as one row; and how events fold into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

SESSIONS = "telemetry.sessions"
SESSION_KEY = "session_key"
QUIET_US = 30 * 60 * 1_000_000
"""A silence of this length ends a session."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Some events of one player without a silence between them; one event is a session, too."""

    title: str
    user_pseudo_id: str
    started_us: int
    ended_us: int
    """Times of the first and the last event by the events' own clock, microseconds since 1970-01-01 UTC."""
    arrived_us: int
    """When the last of them came, by the gateway's clock."""
    events: int
    engagement_ms: int
    platform: str | None
    country: str | None
    app_version: str | None
    """The last three, and the next, as the first event has them."""
    is_test: bool | None

    @property
    def player(self) -> str:
        """Whose session: one player of two games has two."""
        return f"{self.title}\n{self.user_pseudo_id}"

    @property
    def key(self) -> str:
        """Name the session, the same whenever the same events are folded."""
        return hashlib.blake2b(f"{self.player}\n{self.started_us}".encode(), digest_size=16).hexdigest()

    def plus(self, later: Session) -> Session:
        """Join with a session of the same player that starts no earlier."""
        return Session(
            title=self.title,
            user_pseudo_id=self.user_pseudo_id,
            started_us=self.started_us,
            ended_us=max(self.ended_us, later.ended_us),
            arrived_us=max(self.arrived_us, later.arrived_us),
            events=self.events + later.events,
            engagement_ms=self.engagement_ms + later.engagement_ms,
            platform=self.platform,
            country=self.country,
            app_version=self.app_version,
            is_test=self.is_test,
        )


def each_event(rows: pa.Table) -> list[Session]:
    """Make a session of each row of `telemetry.events`."""
    columns = (
        rows["title"],
        rows["user_pseudo_id"],
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
            arrived_us=arrived,
            events=1,
            engagement_ms=engaged,
            platform=platform,
            country=country,
            app_version=version,
            is_test=test,
        )
        for title, player, at, arrived, engaged, platform, country, version, test in zip(
            *(column.to_pylist() for column in columns), strict=True
        )
    ]


def engagement_ms(params: pa.ChunkedArray[Any]) -> Any:
    """Read the param `engagement_time_msec` of each event; 0 where there is none."""
    lists: Any = params.combine_chunks()
    entries = lists.flatten()
    wanted = pc.equal(pc.struct_field(entries, "key"), "engagement_time_msec")
    given = pa.table(
        {
            "row": pc.filter(pc.list_parent_indices(lists), wanted),
            "ms": pc.filter(pc.struct_field(entries, ["value", "int_value"]), wanted),
        }
    )
    by_row = dict(zip(given["row"].to_pylist(), given["ms"].to_pylist(), strict=True))
    return pa.array([by_row.get(row) or 0 for row in range(len(lists))], pa.int64())


def joined(sessions: Iterable[Session]) -> list[Session]:
    """Join sessions of one player, in any order, that no silence of 30 minutes parts; in order of time."""
    result: list[Session] = []
    for session in sorted(sessions, key=_order):
        if result and session.started_us - result[-1].ended_us < QUIET_US:
            result[-1] = result[-1].plus(session)
        else:
            result.append(session)
    return result


def _order(session: Session) -> tuple[Any, ...]:
    facts = asdict(session)
    return (session.started_us, *(str(value) for value in facts.values()))


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
