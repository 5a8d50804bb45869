"""List the tables of a warehouse, with their rows and columns."""

from __future__ import annotations

import pyarrow as pa

from questline_core.warehouse.port import Warehouse


def list_tables(warehouse: Warehouse) -> pa.Table:
    """Give one row for each table: its name, its number of rows, and its columns as `name TYPE`."""
    names = warehouse.tables()
    found = [warehouse.describe(name) for name in names]
    columns = [[f"{field.name} {field_type(field.type)}" for field in table.schema] for table in found]
    return pa.table(
        {
            "table": pa.array(names, pa.string()),
            "rows": pa.array([table.rows for table in found], pa.int64()),
            "columns": pa.array(columns, pa.list_(pa.string())),
        }
    )


def field_type(type_: pa.DataType) -> str:
    """Name a type as GoogleSQL does."""
    if pa.types.is_list(type_):
        return f"ARRAY<{field_type(type_.value_type)}>"
    if pa.types.is_struct(type_):
        fields = (type_.field(i) for i in range(type_.num_fields))
        return "STRUCT<" + ", ".join(f"{field.name} {field_type(field.type)}" for field in fields) + ">"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP" if type_.tz else "DATETIME"
    return _NAMES.get(type_) or str(type_).upper()


_NAMES = {
    pa.int64(): "INT64",
    pa.float64(): "FLOAT64",
    pa.string(): "STRING",
    pa.binary(): "BYTES",
    pa.bool_(): "BOOL",
    pa.date32(): "DATE",
}
