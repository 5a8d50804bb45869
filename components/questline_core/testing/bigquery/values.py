"""Rows, columns and parameters in the JSON of BigQuery's REST API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from questline_core.warehouse.columns import type_name
from questline_core.warehouse.schemas import read_schema_file

_LEGACY = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "INT64": int,
    "FLOAT64": float,
    "BOOL": lambda word: word.lower() == "true",
    "BYTES": base64.b64decode,
    "DATE": date.fromisoformat,
    "TIMESTAMP": datetime.fromisoformat,
    "NUMERIC": Decimal,
    "BIGNUMERIC": Decimal,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def arrow_schema(fields: list[dict[str, Any]], folder: Path) -> pa.Schema:
    """Read the columns of a table resource."""
    path = folder / "schema.json"
    path.write_text(json.dumps(fields))
    return read_schema_file(path)


def fields_json(schema: pa.Schema) -> list[dict[str, Any]]:
    """Describe columns as a table resource or a query result does."""
    return [_field(field) for field in schema]


def _field(field: pa.Field[Any]) -> dict[str, Any]:
    kind, mode = field.type, "NULLABLE" if field.nullable else "REQUIRED"
    if pa.types.is_list(kind):
        kind, mode = kind.value_type, "REPEATED"
    if pa.types.is_struct(kind):
        parts = [_field(kind.field(index)) for index in range(kind.num_fields)]
        return {"name": field.name, "type": "RECORD", "mode": mode, "fields": parts}
    name = type_name(kind)
    return {"name": field.name, "type": _LEGACY.get(name, name), "mode": mode}


def rows_json(table: pa.Table) -> list[dict[str, Any]]:
    """Write rows as `f` and `v`, every value as text; an array that is NULL is an empty one."""
    return [_struct(row, table.schema) for row in table.to_pylist()]


def _struct(row: Mapping[str, Any], fields: Iterable[pa.Field[Any]]) -> dict[str, Any]:
    return {"f": [{"v": _value(row[field.name], field.type)} for field in fields]}


def _value(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [{"v": _value(item, kind.value_type)} for item in value or []]
    if value is None:
        return None
    if pa.types.is_struct(kind):
        return _struct(value, [kind.field(index) for index in range(kind.num_fields)])
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return str(_micros(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _micros(moment: datetime) -> int:
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def parameters(given: list[dict[str, Any]]) -> dict[str, Any]:
    """Read the named parameters of a query."""
    return {one["name"]: _parameter(one["parameterType"], one["parameterValue"]) for one in given}


def _parameter(kind: dict[str, Any], value: dict[str, Any]) -> Any:
    match kind["type"]:
        case "ARRAY":
            return [_parameter(kind["arrayType"], item) for item in value.get("arrayValues", [])]
        case "STRUCT":
            types = {part["name"]: part["type"] for part in kind["structTypes"]}
            return {name: _parameter(types[name], part) for name, part in value["structValues"].items()}
        case name:
            return _scalar(name, value.get("value"))


def _scalar(kind: str, text: str | None) -> Any:
    if text is None:
        return None
    return _READERS.get(kind, str)(text)
