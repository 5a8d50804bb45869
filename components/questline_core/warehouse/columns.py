"""The types of columns: rows that fit a table or not, and the types that GoogleSQL has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from questline_core.errors import BadInput

_HUGEINT = pa.decimal128(38, 0)
INT64 = range(-(2**63), 2**63)


def fit(rows: pa.Table, schema: pa.Schema, table: str) -> pa.Table:
    """Bring rows into the order and types of `schema`; nullable columns that are missing become NULL.

    Raises:
        BadInput: a column is unknown, has another type, or lacks values that the table requires.
    """
    unknown = [name for name in rows.column_names if name not in schema.names]
    if unknown:
        raise BadInput(f"{table} has no column {', '.join(unknown)}; it has {', '.join(schema.names)}")
    return pa.Table.from_arrays([_column(rows, field, table) for field in schema], schema=schema)


def _column(rows: pa.Table, field: pa.Field[Any], table: str) -> pa.ChunkedArray[Any]:
    if field.name not in rows.column_names:
        column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
    else:
        column = rows.column(field.name)
        if pa.types.is_null(column.type):
            column = pa.chunked_array([pa.nulls(rows.num_rows, field.type)])
        elif not same_type(column.type, field.type):
            wanted, brought = type_name(field.type), type_name(column.type)
            raise BadInput(f"column {field.name} of {table} is {wanted}, but the rows bring {brought}")
    if not field.nullable and column.null_count:
        raise BadInput(f"column {field.name} of {table} is required, but {column.null_count} rows have no value in it")
    return column if column.type == field.type else column.cast(field.type)


def check_key(rows: pa.Table, key: str) -> None:
    """Make sure that every row has a key.

    Raises:
        BadInput: one has none.
    """
    if key not in rows.column_names or rows.column(key).null_count:
        raise BadInput(f"every row needs a value in {key}, the key that keeps it from being stored twice")


def same_type(one: pa.DataType, other: pa.DataType) -> bool:
    """Tell whether two types hold the same values: names of list items, null flags and metadata don't count."""
    if pa.types.is_list(one) and pa.types.is_list(other):
        return same_type(one.value_type, other.value_type)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        left, right = members(one), members(other)
        return [f.name for f in left] == [f.name for f in right] and all(
            same_type(a.type, b.type) for a, b in zip(left, right, strict=True)
        )
    return one == other


def same_columns(one: pa.Schema, other: pa.Schema) -> bool:
    """Tell whether two schemas have the same columns in the same order."""
    return one.names == other.names and all(same_type(a.type, b.type) for a, b in zip(one, other, strict=True))


def only_adds(new: pa.Schema, old: pa.Schema) -> bool:
    """Tell whether a schema is the old one and, behind it, columns that may be NULL."""
    added = [new.field(at) for at in range(len(old), len(new))]
    return same_columns(pa.schema([*new][: len(old)]), old) and bool(added) and all(f.nullable for f in added)


def members(type_: pa.DataType) -> list[pa.Field[Any]]:
    """List the fields of a struct."""
    return [type_.field(index) for index in range(type_.num_fields)]


def type_name(type_: pa.DataType) -> str:
    """Name a type as GoogleSQL does."""
    if pa.types.is_list(type_):
        return f"ARRAY<{type_name(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return "STRUCT<" + ", ".join(f"{field.name} {type_name(field.type)}" for field in members(type_)) + ">"
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP" if type_.tz else "DATETIME"
    return _NAMES.get(type_) or str(type_).upper()


def googlesql_types(table: pa.Table) -> pa.Table:
    """Give the columns the types that BigQuery has: INT64 for any whole number, FLOAT64, TIMESTAMP in UTC.

    Raises:
        BadInput: a number is too large for INT64, or a column has a type that there is none for.
    """
    schema = pa.schema([pa.field(f.name, _googlesql_type(f.type, f.name), nullable=f.nullable) for f in table.schema])
    try:
        return table if schema == table.schema else table.cast(schema)
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"a whole number is too large for INT64, or a time too fine for microseconds ({error})"
        ) from None


def _googlesql_type(type_: pa.DataType, name: str) -> pa.DataType:
    if pa.types.is_integer(type_) or type_ == _HUGEINT or pa.types.is_null(type_):
        return pa.int64()
    for is_kind, wanted in _KINDS:
        if is_kind(type_):
            return wanted
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if pa.types.is_dictionary(type_):
        return _googlesql_type(type_.value_type, name)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pa.list_(_googlesql_type(type_.value_type, name))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(f.name, _googlesql_type(f.type, f"{name}.{f.name}")) for f in members(type_)])
    raise BadInput(f"column {name} is {type_}, which the embedded warehouse does not have")


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def _is_bytes(type_: pa.DataType) -> bool:
    return pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_)


_KINDS: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
    (pa.types.is_floating, pa.float64()),
    (pa.types.is_boolean, pa.bool_()),
    (_is_text, pa.string()),
    (_is_bytes, pa.binary()),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_time, pa.time64("us")),
    (pa.types.is_interval, pa.month_day_nano_interval()),
)

_NAMES: Mapping[pa.DataType, str] = {
    pa.int64(): "INT64",
    pa.float64(): "FLOAT64",
    pa.string(): "STRING",
    pa.binary(): "BYTES",
    pa.bool_(): "BOOL",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME",
    pa.month_day_nano_interval(): "INTERVAL",
}
