"""Table schemas in BigQuery's JSON form, as `bq show --schema` prints them, for Arrow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from questline_core.errors import BadInput

UTC_MICROS = pa.timestamp("us", "UTC")
TYPES: Mapping[str, pa.DataType] = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "TIMESTAMP": UTC_MICROS,
    "DATE": pa.date32(),
    "DATETIME": pa.timestamp("us"),
}
"""What Arrow holds BigQuery's types in."""
_RECORDS = ("RECORD", "STRUCT")


def read_schema_file(path: Path) -> pa.Schema:
    """Read a table schema: a JSON list of fields with name, type, mode and fields.

    Raises:
        BadInput: the file cannot be read, or a field is of no form or type that is known; names the field.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read the schema {path}: {error}") from None
    if isinstance(fields, dict):
        fields = fields.get("fields", fields.get("schema"))
    if not isinstance(fields, list):
        raise BadInput(f"{path} is no table schema: it must be a JSON list of fields with name, type and mode")
    return pa.schema([_field(field, path) for field in fields])


def _field(field: Any, path: Path) -> pa.Field[Any]:
    try:
        name, type_, mode = field["name"], field["type"].upper(), field.get("mode", "NULLABLE").upper()
        fields = field["fields"] if type_ in _RECORDS else []
    except (AttributeError, KeyError, TypeError):
        raise BadInput(
            f"{path}: {json.dumps(field)[:80]} is no field; it needs a name, a type, and fields if it is a RECORD"
        ) from None
    if type_ not in TYPES and type_ not in _RECORDS:
        raise BadInput(f"{path}: field {name} has the type {type_}; known are RECORD, {', '.join(TYPES)}")
    kind = TYPES.get(type_) or pa.struct([_field(part, path) for part in fields])
    return pa.field(name, pa.list_(kind) if mode == "REPEATED" else kind, nullable=mode != "REQUIRED")
