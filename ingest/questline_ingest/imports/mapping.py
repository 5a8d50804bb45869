"""Read logs of any shape into events, by a small YAML file that says which field is which column.

Every field that the mapping does not name becomes a param: text as `string_value`, whole numbers as `int_value`,
other numbers as `double_value`, true and false as the texts "true" and "false", a list or an inner object as JSON text,
null as a param without a value. So nothing of a line is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from questline_core.events.columns import Kind
from questline_core.pb.telemetry_pb2 import Event, Param
from questline_ingest.imports.values import take

Path = tuple[str, ...]
"""Names of the objects around a field, and its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one column comes from."""

    target: Path
    """The place of the column in the event."""
    field: Path
    """Its place in the line."""
    convert: Callable[[Any, str], Any]
    """Takes the JSON value and its path in the line to what the column takes; raises Unreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedRows:
    """Turns one line after the other into an event, as a mapping file says."""

    title: str
    """Title for events that bring none; empty when the mapping names none."""
    sources: Sequence[Source]
    unwrap: frozenset[Path]
    """Objects whose fields become params without the object's name in front."""
    constants: Sequence[tuple[Path, str]] = ()
    """Columns that are the same in every event, with their text."""
    renamed: Mapping[Path, str] = field(default_factory=dict)
    """Fields that become a param of another name."""

    def event(self, row: Mapping[str, Any]) -> Event:
        """Read one line.

        Raises:
            Unreadable: names the path of the value that is in the way, and what to do.
        """
        event, used = Event(), set[Path]()
        for target, text in self.constants:
            _put(event, target, text)
        for source in self.sources:
            value = _find(row, source.field)
            if value is not None:
                _put(event, source.target, source.convert(value, ".".join(source.field)))
                used.add(source.field)
        self._add_params(event, row, used)
        return event

    def _add_params(self, event: Event, row: Mapping[str, Any], used: set[Path]) -> None:
        keys = set[str]()
        for path, value in self._rest(row, (), used):
            outside = path[:-1] in self.unwrap
            key = self.renamed.get(path) or (path[-1] if outside and path[-1] not in keys else ".".join(path))
            keys.add(key)
            event.event_params.append(param(key, value, ".".join(path)))

    def _rest(self, values: Mapping[str, Any], within: Path, used: set[Path]) -> Iterator[tuple[Path, Any]]:
        for name, value in values.items():
            path = (*within, name)
            if path in used:
                continue
            if isinstance(value, dict) and value and (path in self.unwrap or _is_around(path, used)):
                yield from self._rest(value, path, used)
            else:
                yield path, value


def _is_around(path: Path, used: set[Path]) -> bool:
    return any(field[: len(path)] == path for field in used)


def param(key: str, value: Any, path: str) -> Param:
    """Make a param in the slot of the value's JSON type.

    Raises:
        Unreadable: the value fits no slot exactly.
    """
    made = Param(key=take(Kind.STRING, key, path))
    if isinstance(value, bool):
        made.value.string_value = "true" if value else "false"
    elif isinstance(value, int):
        made.value.int_value = take(Kind.INTEGER, value, path)
    elif isinstance(value, float):
        made.value.double_value = take(Kind.FLOAT, value, path)
    elif isinstance(value, str):
        made.value.string_value = take(Kind.STRING, value, path)
    elif value is not None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        made.value.string_value = take(Kind.STRING, text, path)
    return made


def _find(row: Mapping[str, Any], path: Path) -> Any:
    value: Any = row
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _put(event: Event, target: Path, value: Any) -> None:
    record: Any = event
    for name in target[:-1]:
        record = getattr(record, name)
    setattr(record, target[-1], value)
