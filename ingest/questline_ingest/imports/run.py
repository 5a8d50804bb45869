"""Import one file: read it line by line, make an event of each, send it through the gateway, and account for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from questline_core.events.checks import ORIGIN_IMPORT
from questline_core.events.ids import ContentIds
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client import Client
from questline_ingest.imports.lines import lines, opened, parse
from questline_ingest.imports.rejects import UnreadableLines
from questline_ingest.imports.values import Unreadable
from questline_ingest.rejections import Rejections


class Rows(Protocol):
    """Turns a line's JSON object into an event."""

    def event(self, row: Mapping[str, Any]) -> Event:
        """Read one line; raises Unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What an import adds to every event."""

    title: str = ""
    """For events that bring none; empty leaves it to the gateway."""
    is_test: bool = False
    """Mark every event as a test."""

    def put_around(self, event: Event) -> None:
        """Fill in what the line did not say; what it did say stays."""
        if not event.title and self.title:
            event.title = self.title
        if self.is_test or not event.HasField("is_test"):
            event.is_test = self.is_test
        if not event.origin:
            event.origin = ORIGIN_IMPORT
        if not event.HasField("client_time") and event.HasField("event_timestamp"):
            event.client_time = event.event_timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of the lines: lines = sent + unreadable, sent = accepted + duplicate + rejected."""

    sent: int
    accepted: int
    duplicate: int
    rejected: int
    unreadable: int
    kept_in: Path | None
    """Where the unreadable lines are; None when there are none."""
    first_unreadable: str
    first_rejected: str
    """Reasons for a person; empty when there are none."""

    @property
    def complete(self) -> bool:
        """True when every line became a row, now or before."""
        return not self.unreadable and not self.rejected


def import_file(
    path: Path, rows: Rows, client: Client, *, envelope: Envelope, on_progress: Callable[[int], None] | None = None
) -> ImportReport:
    """Send every line of a file as an event; a line that cannot become one is kept aside and the rest goes on.

    A second import of the same file gives the same event ids, so that all are duplicates.

    Args:
        path: NDJSON, one JSON object a line.
        rows: how a line becomes an event.
        client: a connected client.
        envelope: what is added to every event.
        on_progress: called with the bytes of the file that were read.

    Raises:
        BadInput: the file cannot be read, or an unreadable line cannot be kept.
        NotReady: the gateway takes nothing more.
    """
    rejections = Rejections()
    with opened(path) as file, UnreadableLines(path) as unreadable:
        events = _events(file, rows, envelope, unreadable, on_progress or (lambda _: None))
        report = client.send_all(events, on_answers=rejections.note)
    return ImportReport(
        sent=report.sent,
        accepted=report.accepted,
        duplicate=report.duplicate,
        rejected=report.rejected,
        unreadable=unreadable.count,
        kept_in=unreadable.path if unreadable.count else None,
        first_unreadable=unreadable.first,
        first_rejected=rejections.first,
    )


def _events(
    file: BinaryIO, rows: Rows, envelope: Envelope, unreadable: UnreadableLines, on_progress: Callable[[int], None]
) -> Iterator[Event]:
    ids = ContentIds()
    for line in lines(file):
        on_progress(line.end)
        try:
            event = rows.event(parse(line.data))
        except Unreadable as error:
            unreadable.keep(line, error)
            continue
        envelope.put_around(event)
        if not event.event_id:
            ids.give(event)
        yield event
