"""Make the rows of whole days anew from events, and put them in place of the rows that are there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute

from questline_core.errors import BadInput
from questline_core.events.checks import check, complete
from questline_core.events.content import content_hash
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

pc: Any = pyarrow.compute  # the stubs know fewer types than the functions take

_CHUNK = 10_000
"""Events that are turned into columns at once."""


@dataclass(slots=True)
class DayRows:
    """The rows of one day, gathered from all files, copies with them."""

    events: list[Event] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Take one event."""
        self.events.append(event)
        if len(self.events) == _CHUNK:
            self._encode()

    def table(self) -> pa.Table:
        """Give all rows."""
        self._encode()
        return pa.concat_tables([arrow_schema(Event).empty_table(), *self.tables])

    def _encode(self) -> None:
        self.tables.append(to_table(Event, self.events))
        self.events = []


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What the files hold of the wanted days."""

    days: Mapping[str, DayRows]
    """By YYYYMMDD."""
    broken: int = 0
    """Lines and messages that are no events which keep the contract."""
    first_broken: str = ""

    @classmethod
    def of(cls, days: Iterable[date]) -> Gathered:
        """Begin with nothing of these days."""
        return cls(days={f"{day:%Y%m%d}": DayRows() for day in days})

    def take(self, where: str, event: Event, *, title: str) -> None:
        """Take one event, if it keeps the contract and is of a wanted day; `title` is for one that brings none."""
        if problem := check(event):
            self.spoil(where, problem.message)
            return
        # An export does not tell when an event came; a time of now would make every run another.
        complete(event, title=title, received_time=event.received_time or event.event_timestamp)
        if event.event_date in self.days:
            self.days[event.event_date].add(event)

    def spoil(self, where: str, why: str) -> None:
        """Count what is no event that keeps the contract."""
        self.broken += 1
        self.first_broken = self.first_broken or f"{where}: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """What became of one day."""

    day: date
    before: int
    """Rows that the day had."""
    rows: int
    """Rows that it has now."""
    copies: int
    """Events of the files that came more than once."""
    forgotten: int
    """Events of players who were forgotten, left out."""
    content: str
    """Hash of the rows: the same files give the same, however often and in whatever files the table keeps them.

    Empty if it was not wanted: it reads every value of the day, which takes longer than all the rest.
    """


def replace_days(settings: PlatformSettings, found: Gathered, *, skip_broken: bool) -> list[DayReport]:
    """Put what was gathered in place of the days' rows, each day in one step.

    Raises:
        BadInput: something broken is not to be skipped, and nothing is replaced; or nothing was gathered of a day.
    """
    refuse_broken(found.broken, found.first_broken, skip_broken=skip_broken)
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(EVENTS, arrow_schema(Event))
        forgotten = Forgotten(warehouse, open_key(settings))
        return [
            replace_day(warehouse, forgotten, date.fromisoformat(day), rows.table()) for day, rows in found.days.items()
        ]


def refuse_broken(broken: int, first: str, *, skip_broken: bool) -> None:
    """Stop before anything is replaced when the files hold what is no event.

    Raises:
        BadInput: they do, and it is not to be skipped.
    """
    if broken and not skip_broken:
        raise BadInput(
            f"{broken:,} lines or messages are no events, the first: {first}; nothing was replaced, mend them or leave "
            "them out with --skip-broken"
        )


def replace_day(
    warehouse: Warehouse, forgotten: Forgotten, day: date, gathered: pa.Table, *, hashed: bool = True
) -> DayReport:
    """Put the gathered rows in place of a day's, in one step, and tell the hash of what is there now if it is wanted.

    Raises:
        BadInput: nothing was gathered, so that the day would only be emptied.
    """
    if not gathered.num_rows:
        raise BadInput(
            f"the files hold no event of {day}; its rows stay as they are, leave the day out or add its file"
        )
    wanted = one_of_each(gathered)
    rows = forgotten.without(wanted)
    before = _rows_of(warehouse, day)
    warehouse.replace(EVENTS, rows, partition=day)
    forgotten.settle(EVENTS, rows)
    return DayReport(
        day=day,
        before=before,
        rows=_rows_of(warehouse, day),
        copies=gathered.num_rows - wanted.num_rows,
        forgotten=wanted.num_rows - rows.num_rows,
        content=_content_of(warehouse, day) if hashed else "",
    )


def _rows_of(warehouse: Warehouse, day: date) -> int:
    found = warehouse.query(f"SELECT COUNT(*) AS n FROM {EVENTS} WHERE event_date = @day", day=day)  # noqa: S608 - as below
    return int(found["n"][0].as_py())


def _content_of(warehouse: Warehouse, day: date) -> str:
    return content_hash(warehouse.query(f"SELECT * FROM {EVENTS} WHERE event_date = @day", day=day))  # noqa: S608 - our own name


def one_of_each(rows: pa.Table) -> pa.Table:
    """Keep one row of each event id, whatever the order: that of the copy which came first, by its content if equal."""
    numbers = rows["event_id"].value_counts()
    doubled: Any = pc.struct_field(numbers, "values").filter(pc.greater(pc.struct_field(numbers, "counts"), 1))
    if not len(doubled):
        return rows
    is_double = pc.is_in(rows["event_id"], value_set=doubled)
    places = pc.indices_nonzero(is_double).to_pylist()
    first = dict[str, tuple[datetime, str, int]]()
    for place, row in zip(places, rows.filter(is_double).to_pylist(), strict=True):
        rank = (row["received_time"], json.dumps(row, sort_keys=True, default=str), place)
        first[row["event_id"]] = min(rank, first.get(row["event_id"], rank))
    kept = {place for _, _, place in first.values()}
    others = set(places) - kept
    return rows.filter(pa.array([place not in others for place in range(rows.num_rows)]))
