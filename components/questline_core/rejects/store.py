"""What was rejected and not replayed yet, and the note of what was."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError

from questline_core.errors import BadInput
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Reject as RejectMessage
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import REJECTS, Warehouse

REPLAYS = "telemetry.reject_replays"
_REPLAY_TYPES: dict[str, pa.DataType] = {
    "message_id": pa.string(),
    "event_id": pa.string(),
    "how": pa.string(),
    "replayed_at": pa.timestamp("us", "UTC"),
}
_COLUMNS = (
    "r.message_id, r.payload, r.reason, r.field, r.message, r.source, r.time_micros, r.event_id, r.title, r.is_test"
)
_WITH_REPLAYS = f"{REJECTS} AS r LEFT JOIN {REPLAYS} AS p ON p.message_id = r.message_id"
_EMPTY: dict[str, Any] = {"payload": b"", "time_micros": 0, "is_test": False}
"""What stands for NULL in columns that are no text."""
_ANYWHERE = re.compile(r"\[[0-9]+\]")
_AT_ONCE = 1_000
"""Rows that become objects of Python at once: a payload may have a megabyte."""
_GROUPS = rf"""
SELECT
  r.reason,
  REGEXP_REPLACE(COALESCE(r.field, ''), r'{_ANYWHERE.pattern}', '[*]') AS anywhere,
  COUNT(*) AS number,
  COUNTIF(p.message_id IS NOT NULL) AS replayed,
  COALESCE(MIN(r.time_micros), 0) AS first_micros,
  COALESCE(MAX(r.time_micros), 0) AS last_micros,
  ARRAY_AGG(
    STRUCT(r.message_id AS example, COALESCE(r.message, '') AS message)
    ORDER BY r.time_micros DESC, r.message_id DESC LIMIT 1
  )[OFFSET(0)] AS newest
FROM {_WITH_REPLAYS}
GROUP BY r.reason, anywhere
ORDER BY number DESC, r.reason, anywhere
"""  # noqa: S608 - our own names


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """An input that broke the contract, whole."""

    message_id: str
    """Names it for good: no two rejects share it."""
    payload: bytes
    reason: str
    field: str
    message: str
    source: str
    time_micros: int
    event_id: str
    title: str
    is_test: bool

    def event(self) -> Event | None:
        """Read the payload; None when it is no event."""
        try:
            return Event.FromString(self.payload)
        except DecodeError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rejects of one reason and field."""

    reason: str
    field: str
    """With `[*]` for the place in a list."""
    count: int
    replayed: int
    first_micros: int
    last_micros: int
    example: str
    """Message id of the newest."""
    message: str
    """The newest one's sentence."""


class RejectStore:
    """The tables of rejects and of replays, which are made if need be."""

    def __init__(self, warehouse: Warehouse) -> None:
        """Make the tables; one of rejects that an earlier version made gets its new columns."""
        self._warehouse = warehouse
        warehouse.create(REJECTS, arrow_schema(RejectMessage))
        warehouse.create(REPLAYS, pa.schema(_REPLAY_TYPES))

    def groups(self) -> Sequence[Group]:
        """Group all rejects, the most frequent first."""
        rows = self._warehouse.query(_GROUPS).to_pylist()
        return [Group(**row.pop("newest"), field=row.pop("anywhere"), count=row.pop("number"), **row) for row in rows]

    def waiting(self, *, reason: str | None = None) -> Iterator[Reject]:
        """Give the rejects that were not replayed yet, oldest first."""
        if reason is None:
            return self._find("p.message_id IS NULL")
        return self._find("p.message_id IS NULL AND r.reason = @reason", reason=reason)

    def get(self, message_ids: Collection[str]) -> Sequence[Reject]:
        """Find rejects by their message ids, replayed or not.

        Raises:
            BadInput: there is none of this id.
        """
        found = list(self._find("r.message_id IN UNNEST(@ids)", ids=list(message_ids)))
        if missing := set(message_ids).difference(reject.message_id for reject in found):
            raise BadInput(f"there is no reject {min(missing)}; `questline rejects list` names one of each kind")
        return found

    def mark_replayed(self, event_ids: Collection[tuple[str, str]], *, how: str) -> None:
        """Note that these rejects (message id, event id) were sent again; a second note of one is none."""
        now = datetime.now(UTC)
        rows = [
            {"message_id": message_id, "event_id": event_id, "how": how, "replayed_at": now}
            for message_id, event_id in event_ids
        ]
        if rows:
            table = pa.Table.from_pylist(rows, schema=pa.schema(_REPLAY_TYPES))
            self._warehouse.append(REPLAYS, table, key="message_id")

    def _find(self, chosen: str, **values: object) -> Iterator[Reject]:
        text = f"SELECT {_COLUMNS} FROM {_WITH_REPLAYS} WHERE {chosen} ORDER BY r.time_micros, r.message_id"  # noqa: S608 - our own names
        for batch in self._warehouse.query(text, **values).to_batches(max_chunksize=_AT_ONCE):
            for row in batch.to_pylist():
                yield Reject(**{name: _EMPTY.get(name, "") if value is None else value for name, value in row.items()})


def anywhere(field: str) -> str:
    """Name a field without its place in a list: event_params[3].key -> event_params[*].key."""
    return _ANYWHERE.sub("[*]", field)
