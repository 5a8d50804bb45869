"""Read newline-delimited JSON into typed rows; whole numbers stay exact, as numbers or as BigQuery's texts of them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from questline_core.errors import BadInput
from questline_core.warehouse.columns import INT64, members, type_name
from questline_core.warehouse.schemas import UTC_MICROS

Convert = Callable[[Any], Any]
_BATCH_ROWS = 10_000
_SHOWN = 60
_WHOLE = re.compile(r"[+-]?\d+")


class Misfit(ValueError):
    """Raised when a value does not fit its column; the text tells why."""


def read_json(file: Path, wanted: pa.Schema | None, tell: Callable[[str], None]) -> pa.Table:
    """Read all rows; the types are the wanted ones, or those that fit every value of a field.

    Raises:
        BadInput: a line is no JSON object, or a value is not of its column's type; names the line.
    """
    schema = wanted if wanted is not None else _infer(file, tell)
    record = pa.struct(list(schema))
    convert = _converter(record, "")
    batches, rows = list[pa.Table](), list[Any]()
    for line, value in _objects(file):
        try:
            rows.append(convert(value))
        except Misfit as problem:
            raise BadInput(f"{file.name}, line {line}: {problem}; correct the line and load again") from None
        if len(rows) == _BATCH_ROWS:
            batches.append(_table(rows, schema))
            rows = []
            tell(f"reading {file.name}: {len(batches) * _BATCH_ROWS:,} rows")
    return pa.concat_tables([*batches, _table(rows, schema)])


def _table(rows: list[Any], schema: pa.Schema) -> pa.Table:
    return pa.table([pa.array([row[f.name] for row in rows], f.type) for f in schema], schema=schema)


def _objects(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(file) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise BadInput(
                    f"{file.name}, line {number}: this is no JSON ({error}); put one object on each line"
                ) from None
            if not isinstance(value, dict):
                raise BadInput(f"{file.name}, line {number}: this is no JSON object; put one object on each line")
            yield number, value


def _open(file: Path) -> IO[bytes]:
    return gzip.GzipFile(file) if file.suffix == ".gz" else file.open("rb")  # type: ignore[return-value]


@dataclass(slots=True)
class _Seen:
    """What values a field had on the lines so far."""

    kinds: set[str] = field(default_factory=set)
    fields: dict[str, _Seen] = field(default_factory=dict)
    item: _Seen | None = None

    def note(self, value: Any) -> None:
        """Remember a value's kind."""
        match value:
            case None:
                return
            case dict():
                for name, part in value.items():
                    self.fields.setdefault(name, _Seen()).note(part)
            case list():
                self.item = self.item or _Seen()
                for part in value:
                    self.item.note(part)
        self.kinds.add(type(value).__name__)

    def type(self, path: str) -> pa.DataType:
        """Choose the type that fits all values."""
        kinds = tuple(sorted(self.kinds))
        if kinds in _SCALARS:
            return _SCALARS[kinds]
        if kinds == ("dict",) and self.fields:
            return pa.struct([pa.field(name, part.type(f"{path}.{name}")) for name, part in self.fields.items()])
        if kinds == ("list",) and self.item is not None:
            return pa.list_(self.item.type(path))
        what = " and ".join(kinds)
        raise BadInput(f"the field {path} is {what} on different lines or empty; say what it is with --schema")


_SCALARS: dict[tuple[str, ...], pa.DataType] = {
    (): pa.string(),
    ("bool",): pa.bool_(),
    ("int",): pa.int64(),
    ("float",): pa.float64(),
    ("float", "int"): pa.float64(),
    ("str",): pa.string(),
}


def _infer(file: Path, tell: Callable[[str], None]) -> pa.Schema:
    tell(f"looking at the types of {file.name}")
    root = _Seen()
    for _, value in _objects(file):
        root.note(value)
    if not root.fields:
        raise BadInput(f"{file.name} has no rows, so that its columns are not known; give --schema")
    return pa.schema([pa.field(name, seen.type(name)) for name, seen in root.fields.items()])


def _converter(type_: pa.DataType, path: str, *, nullable: bool = True) -> Convert:
    inner = _inner_converter(type_, path)
    empty: Any = [] if pa.types.is_list(type_) else None

    def convert(value: Any) -> Any:
        if value is None:
            if nullable:
                return empty
            raise Misfit(f"{path} has no value, but it is required")
        return inner(value)

    return convert


def _inner_converter(type_: pa.DataType, path: str) -> Convert:
    if pa.types.is_struct(type_):
        return _record_converter(members(type_), path)
    if pa.types.is_list(type_):
        item = _converter(type_.value_type, path, nullable=False)

        def convert_list(value: Any) -> Any:
            if not isinstance(value, list):
                raise Misfit(f"{path} is {_shown(value)}, but it must be a list")
            return [item(part) for part in value]

        return convert_list
    read = _READ[type_]

    def convert(value: Any) -> Any:
        try:
            return read(value)
        except (ValueError, TypeError, AttributeError):
            raise Misfit(f"{path} is {_shown(value)}, which is no {type_name(type_)}") from None

    return convert


def _record_converter(fields: list[pa.Field[Any]], path: str) -> Convert:
    prefix = f"{path}." if path else ""
    parts = [(f.name, _converter(f.type, f"{prefix}{f.name}", nullable=f.nullable)) for f in fields]
    names = {name for name, _ in parts}

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Misfit(f"{path} is {_shown(value)}, but it must be an object")
        unknown = value.keys() - names
        if unknown:
            raise Misfit(f"{prefix}{min(unknown)} is no column of the table")
        return {name: part(value.get(name)) for name, part in parts}

    return convert


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _int64(value: Any) -> int:
    number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int or number not in INT64:
        raise ValueError
    return number


def _float64(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or (isinstance(value, int) and int(number) != value):
        raise ValueError
    return number


def _bool(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _timestamp(value: Any) -> datetime:
    time = datetime.fromisoformat(value.removesuffix(" UTC"))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _datetime(value: Any) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo:
        raise ValueError
    return time


_READ: dict[pa.DataType, Convert] = {
    pa.string(): _string,
    pa.int64(): _int64,
    pa.float64(): _float64,
    pa.bool_(): _bool,
    pa.date32(): date.fromisoformat,
    UTC_MICROS: _timestamp,
    pa.timestamp("us"): _datetime,
    pa.binary(): base64.b64decode,
}
