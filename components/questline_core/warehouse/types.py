"""The same type in three languages: GoogleSQL's text, Arrow's columns, DuckDB's casts."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import members

_SCALARS: tuple[tuple[exp.DType, pa.DataType, str], ...] = (
    (exp.DType.BIGINT, pa.int64(), "BIGINT"),
    (exp.DType.DOUBLE, pa.float64(), "DOUBLE"),
    (exp.DType.TEXT, pa.string(), "VARCHAR"),
    (exp.DType.BINARY, pa.binary(), "BLOB"),
    (exp.DType.BOOLEAN, pa.bool_(), "BOOLEAN"),
    (exp.DType.DATE, pa.date32(), "DATE"),
    (exp.DType.TIME, pa.time64("us"), "TIME"),
    (exp.DType.TIMESTAMPTZ, pa.timestamp("us", "UTC"), "TIMESTAMPTZ"),
    (exp.DType.TIMESTAMP, pa.timestamp("us"), "TIMESTAMP"),
)
_FROM_GOOGLESQL: Mapping[exp.DType, pa.DataType] = {parsed: arrow for parsed, arrow, _ in _SCALARS}
_TO_DUCKDB: Mapping[pa.DataType, str] = {arrow: duckdb for _, arrow, duckdb in _SCALARS}


def arrow_type(type_: exp.DataType) -> pa.DataType:
    """Give the Arrow type of a type that was parsed from GoogleSQL.

    Raises:
        BadInput: the embedded warehouse has no such type.
    """
    if type_.this is exp.DType.ARRAY and type_.expressions:
        return pa.list_(arrow_type(type_.expressions[0]))
    if type_.this is exp.DType.STRUCT:
        return pa.struct([pa.field(part.name, arrow_type(part.args["kind"])) for part in type_.expressions])
    if type_.this not in _FROM_GOOGLESQL:
        raise BadInput(f"the embedded warehouse does not have the type {type_.sql(dialect='bigquery')}")
    return _FROM_GOOGLESQL[type_.this]


def duckdb_type(type_: pa.DataType) -> str:
    """Write a column's type as DuckDB does.

    Raises:
        BadInput: GoogleSQL has no such type.
    """
    if pa.types.is_list(type_):
        return f"{duckdb_type(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        return f"STRUCT({', '.join(f'{_quoted(field.name)} {duckdb_type(field.type)}' for field in members(type_))})"
    if type_ not in _TO_DUCKDB:
        raise BadInput(f"GoogleSQL has no type for {type_}")
    return _TO_DUCKDB[type_]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
