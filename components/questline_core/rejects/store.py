"""What was rejected and not replayed yet, and the note of what was."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import REJECTS, Warehouse

REPLAYS = "telemetry.reject_replays"
_REPLAY_TYPES: dict[str, pa.DataType] = {
    "message_id": pa.string(),
    "event_id": pa.string(),
    "how": pa.string(),
    "replayed_at": pa.timestamp("us", "UTC"),
}
_COLUMNS = "r.message_id, r.payload, r.reason, r.field, r.message, r.source, r.time_micros, r.event_id, r.title"


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
    """The tables of rejects and of replays."""

    def __init__(self, warehouse: Warehouse) -> None:
        """Make the table of replays if need be."""
        self._warehouse = warehouse
        warehouse.create(REPLAYS, pa.schema(_REPLAY_TYPES))

    def groups(self) -> Sequence[Group]:
        """Group all rejects, the most frequent first."""
        groups = dict[tuple[str, str], Group]()
        for reject, replayed in self._all("TRUE"):
            name = (reject.reason, anywhere(reject.field))
            old = groups.get(name)
            groups[name] = _joined(old, reject, replayed) if old else _alone(reject, replayed)
        return sorted(groups.values(), key=lambda group: (-group.count, group.reason, group.field))

    def waiting(self, *, reason: str | None = None) -> Iterator[Reject]:
        """Give the rejects that were not replayed yet, oldest first."""
        chosen = "TRUE" if reason is None else "r.reason = @reason"
        for reject, replayed in self._all(chosen, **({} if reason is None else {"reason": reason})):
            if not replayed:
                yield reject

    def get(self, message_ids: Collection[str]) -> Sequence[Reject]:
        """Find rejects by their message ids, replayed or not.

        Raises:
            BadInput: there is none of this id.
        """
        found = [reject for reject, _ in self._all("r.message_id IN UNNEST(@ids)", ids=list(message_ids))]
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

    def _all(self, chosen: str, **values: object) -> Iterator[tuple[Reject, bool]]:
        if REJECTS not in self._warehouse.tables():
            return
        rows = self._warehouse.query(
            f"SELECT {_COLUMNS}, p.message_id IS NOT NULL AS replayed FROM {REJECTS} AS r "  # noqa: S608 - our own names
            f"LEFT JOIN {REPLAYS} AS p ON p.message_id = r.message_id WHERE {chosen} "
            "ORDER BY r.time_micros, r.message_id",
            **values,
        )
        for row in rows.to_pylist():
            replayed = bool(row.pop("replayed"))
            yield Reject(**{name: _filled(name, value) for name, value in row.items()}), replayed


def anywhere(field: str) -> str:
    """Name a field without its place in a list: event_params[3].key -> event_params[*].key."""
    return re.sub(r"\[[0-9]+\]", "[*]", field)


def _filled(name: str, value: Any) -> Any:
    empty: Any = b"" if name == "payload" else 0 if name == "time_micros" else ""
    return empty if value is None else value


def _alone(reject: Reject, replayed: bool) -> Group:
    return Group(
        reason=reject.reason,
        field=anywhere(reject.field),
        count=1,
        replayed=int(replayed),
        first_micros=reject.time_micros,
        last_micros=reject.time_micros,
        example=reject.message_id,
        message=reject.message,
    )


def _joined(group: Group, newer: Reject, replayed: bool) -> Group:
    return replace(
        group,
        count=group.count + 1,
        replayed=group.replayed + replayed,
        last_micros=newer.time_micros,
        example=newer.message_id,
        message=newer.message,
    )
