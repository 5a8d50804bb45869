"""List the tables of a warehouse, with their rows and columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from questline_core.warehouse.port import Warehouse


def list_tables(warehouse: Warehouse) -> pa.Table:
    """Give one row for each table: its name, rows and columns."""
    found: dict[str, list[Any]] = {"table": [], "rows": [], "columns": []}
    for name in warehouse.tables():
        description = warehouse.describe(name)
        found["table"].append(name)
        found["rows"].append(description.rows)
        found["columns"].append([f"{field.name} {field_type(field.type)}" for field in description.schema])
    strings = pa.list_(pa.string())
    return pa.table(found, schema=pa.schema([("table", pa.string()), ("rows", pa.int64()), ("columns", strings)]))


def field_type(type_: pa.DataType) -> str:
    """Name a type as GoogleSQL does."""
    if pa.types.is_list(type_):
        return f"ARRAY<{field_type(type_.value_type)}>"
    if pa.types.is_struct(type_):
        fields = (type_.field(i) for i in range(type_.num_fields))
        return "STRUCT<" + ", ".join(f"{field.name} {field_type(field.type)}" for field in fields) + ">"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP" if type_.tz else "DATETIME"
    names = {"int64": "INT64", "double": "FLOAT64", "string": "STRING", "bool": "BOOL", "date32[day]": "DATE"}
    return names.get(str(type_), "BYTES" if str(type_) == "binary" else str(type_).upper())
