"""Make the rows of whole days anew from what was archived, and put them in place of the rows that are there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import fsspec
import pyarrow as pa
from google.protobuf.message import DecodeError

from questline_core.broker.port import REJECT
from questline_core.errors import BadInput
from questline_core.events.checks import check, complete
from questline_core.events.content import content_hash
from questline_core.events.ids import ContentIds
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.warehouse.port import EVENTS, Warehouse
from questline_ingest.imports.lines import lines, parse
from questline_ingest.imports.run import Envelope, Rows
from questline_ingest.imports.values import Unreadable

_CHUNK = 10_000
"""Events that are turned into columns at once."""


@dataclass(slots=True)
class DayRows:
    """The rows of one day, gathered from all files."""

    events: list[Event] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    copies: int = 0

    def add(self, event: Event) -> None:
        """Take one event, unless its id came before."""
        if event.event_id in self.ids:
            self.copies += 1
            return
        self.ids.add(event.event_id)
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
    """Hash of the rows: the same files give the same, however often and in whatever files the table keeps them."""


def gather(sources: Sequence[str], days: Collection[date], rows: Rows, *, envelope: Envelope) -> Gathered:
    """Read files or URLs (NDJSON, also .gz, or the Avro archive of a Pub/Sub subscription) for the events of some days.

    Raises:
        BadInput: a source cannot be read.
    """
    found = Gathered(days={f"{day:%Y%m%d}": DayRows() for day in days})
    exported = Exported(rows=rows, envelope=envelope, found=found)
    for where, event in _events(sources, exported):
        if problem := check(event):
            found.spoil(where, problem.message)
            continue
        # An export does not tell when an event came; a time of now would make every run another.
        complete(event, title=envelope.title, received_time=event.received_time or event.event_timestamp)
        if event.event_date in found.days:
            found.days[event.event_date].add(event)
    return found


def replace_day(warehouse: Warehouse, forgotten: Forgotten, day: date, gathered: DayRows) -> DayReport:
    """Put the gathered rows in place of a day's, in one step.

    Raises:
        BadInput: nothing was gathered, so that the day would only be emptied.
    """
    wanted = gathered.table()
    if not wanted.num_rows:
        raise BadInput(
            f"the files hold no event of {day}; its rows stay as they are, leave the day out or add its file"
        )
    rows = forgotten.without(wanted)
    before = warehouse.query(f"SELECT COUNT(*) AS n FROM {EVENTS} WHERE event_date = @day", day=day)  # noqa: S608 - as below
    warehouse.replace(EVENTS, rows, partition=day)
    forgotten.settle(EVENTS, rows)
    now = _rows_of(warehouse, day)
    return DayReport(
        day=day,
        before=int(before["n"][0].as_py()),
        rows=now.num_rows,
        copies=gathered.copies,
        forgotten=wanted.num_rows - rows.num_rows,
        content=content_hash(now),
    )


def _rows_of(warehouse: Warehouse, day: date) -> pa.Table:
    return warehouse.query(f"SELECT * FROM {EVENTS} WHERE event_date = @day", day=day)  # noqa: S608 - our own name


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Reads exports as an import does, so that an event has the id that its import gave it."""

    rows: Rows
    envelope: Envelope
    found: Gathered
    ids: ContentIds = field(default_factory=ContentIds)

    def events(self, file: Any, name: str) -> Iterator[tuple[str, Event]]:
        """Read lines of JSON."""
        for line in lines(file):
            where = f"{name}, line {line.number}"
            try:
                event = self.rows.event(parse(line.data))
            except Unreadable as error:
                self.found.spoil(where, str(error))
                continue
            self.envelope.put_around(event)
            if not event.event_id:
                self.ids.give(event)
            yield where, event


def _events(sources: Sequence[str], exported: Exported) -> Iterator[tuple[str, Event]]:
    for source in sources:
        try:
            for file in fsspec.open_files(source, "rb", compression="infer"):
                with file as opened:
                    if file.path.endswith(".avro"):
                        yield from _archived(opened, file.path, exported.found)
                    else:
                        yield from exported.events(opened, file.path)
        except (OSError, ValueError) as error:
            raise BadInput(
                f"cannot read {source} ({error}); name files or URLs, such as gs://bucket/day/*.avro"
            ) from None


def _archived(file: Any, name: str, found: Gathered) -> Iterator[tuple[str, Event]]:
    """Read what a Cloud Storage subscription of Pub/Sub wrote; rejects in it are left to `questline rejects`."""
    import fastavro  # noqa: PLC0415 - only an archive needs it

    for number, record in enumerate(cast("Iterator[dict[str, Any]]", fastavro.reader(file)), 1):
        if record.get("attributes", {}).get("kind") == REJECT:
            continue
        where = f"{name}, message {number}"
        try:
            event = Event.FromString(record["data"])
        except DecodeError:
            found.spoil(where, "the data is no serialized event")
            continue
        yield where, event
