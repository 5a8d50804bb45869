"""Make rows fit the columns of a table, or say which column does not."""

from __future__ import annotations

import pyarrow as pa

from questline_core.errors import BadInput


def fit(rows: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    """Bring rows into the order and types of `schema`; nullable columns that are missing become NULL.

    Raises:
        BadInput: a column is unknown, has another type, or lacks values that the table requires.
    """
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise BadInput(f"{table} has no column {', '.join(unknown)}; it has {', '.join(schema.names)}")
    return pa.Table.from_arrays([_column(rows, field, table) for field in schema], schema=schema)


def _column(rows: pa.Table, field: pa.Field, table: str) -> pa.ChunkedArray:
    if field.name not in rows.column_names:
        column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    else:
        column = rows.column(field.name)
        if pa.types.is_null(column.type):
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        elif not same_type(column.type, field.type):
            raise BadInput(f"column {field.name} of {table} is {field.type}, but the rows bring {column.type}")
    if not field.nullable and column.null_count:
        raise BadInput(f"column {field.name} of {table} is required, but {column.null_count} rows have no value in it")
    return column if column.type == field.type else column.cast(field.type)


def same_type(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether two types hold the same values: names of list items, null flags and metadata don't count."""
    if pa.types.is_list(one) and pa.types.is_list(other):
        return same_type(one.value_type, other.value_type)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        left, right = _members(one), _members(other)
        return [f.name for f in left] == [f.name for f in right] and all(
            same_type(a.type, b.type) for a, b in zip(left, right, strict=True)
        )
    return one == other


def same_columns(one: pa.Schema, other: pa.Schema) -> bool:
    """Tell whether two schemas have the same columns in the same order."""
    return one.names == other.names and all(same_type(a.type, b.type) for a, b in zip(one, other, strict=True))


def _members(type_: pa.DataType) -> list[pa.Field]:
    return [type_.field(i) for i in range(type_.num_fields)]
