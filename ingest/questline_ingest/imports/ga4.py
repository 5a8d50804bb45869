"""Read rows of the GA4 / Firebase export to BigQuery, as BigQuery's JSON export or any client library writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from questline_core.events.columns import Column, Kind, columns
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.values import Unreadable, shown, take


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    column: Column
    fields: Mapping[str, _Known]


def _by_name(table: Sequence[Column]) -> Mapping[str, _Known]:
    return {column.name: _Known(column=column, fields=_by_name(column.fields)) for column in table}


class Ga4Rows:
    """Turns one row after the other into an event that holds exactly what the row holds.

    A value lands in the slot that it has in the row: `{"string_value": "3"}` stays text. A column that the contract
    does not know is an error unless it holds nothing or `skip_unknown` is set; `skipped` names those left out.
    """

    def __init__(self, *, skip_unknown: bool = False) -> None:
        self._columns = _by_name(columns(Event))
        self._skip_unknown = skip_unknown
        self.skipped = set[str]()

    def event(self, row: Mapping[str, Any]) -> Event:
        """Read one row.

        Raises:
            Unreadable: names the path of the value that is in the way, and what to do.
        """
        event = Event()
        self._read(row, self._columns, event, "")
        return event

    def _read(self, values: Any, known: Mapping[str, _Known], into: Message, path: str) -> None:
        if not isinstance(values, dict):
            raise Unreadable(f"is {shown(values)}, but this column is an object", path=path)
        for name, value in values.items():
            if value is None:
                continue
            at = f"{path}.{name}" if path else name
            if name not in known:
                self._pass_over(value, at)
                continue
            column, fields = known[name].column, known[name].fields
            if column.repeated:
                self._read_list(value, fields, getattr(into, name), at)
            elif column.kind is Kind.RECORD:
                record = getattr(into, name)
                record.SetInParent()
                self._read(value, fields, record, at)
            else:
                setattr(into, name, take(column.kind, value, at))

    def _read_list(self, values: Any, known: Mapping[str, _Known], into: Any, path: str) -> None:
        if not isinstance(values, list):
            raise Unreadable(f"is {shown(values)}, but this column is a list", path=path)
        for index, value in enumerate(values):
            self._read(value, known, into.add(), f"{path}[{index}]")

    def _pass_over(self, value: Any, path: str) -> None:
        if _holds_nothing(value):
            return
        if not self._skip_unknown:
            raise Unreadable(
                "is no column of the event contract (docs/events.md); send it as one of event_params, "
                "or, where a file is imported, leave it out with --skip-unknown or say what it is with --mapping",
                path=path,
            )
        self.skipped.add(re.sub(r"\[[0-9]+\]", "", path))


def _holds_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_holds_nothing, value.values()))
    return value is None or value == []
