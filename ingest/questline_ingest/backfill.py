"""Read exports for a backfill, as an import does, beside the archive that the kernel reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from questline_core.events.archive import archived
from questline_core.events.ids import ContentIds
from questline_core.events.remake import Gathered
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.lines import lines, parse
from questline_ingest.imports.run import Envelope, Rows
from questline_ingest.imports.values import Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Reads NDJSON so that an event has the id that its import gave it, and files named .avro as the archive."""

    rows: Rows
    envelope: Envelope
    ids: ContentIds = field(default_factory=ContentIds)

    def read(self, file: Any, name: str, found: Gathered) -> Iterator[tuple[str, Event]]:
        """Read one file; see `Reader`."""
        return archived(file, name, found) if name.endswith(".avro") else self._lines(file, name, found)

    def _lines(self, file: Any, name: str, found: Gathered) -> Iterator[tuple[str, Event]]:
        for line in lines(file):
            where = f"{name}, line {line.number}"
            try:
                event = self.rows.event(parse(line.data))
            except Unreadable as error:
                found.spoil(where, str(error))
                continue
            self.envelope.put_around(event)
            if not event.event_id:
                self.ids.give(event)
            yield where, event
