"""Derive the table schemas from the protobuf messages: BigQuery's JSON, and Arrow's for Parquet and DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from questline_core.events.columns import Column, Kind, columns
from questline_core.pb.broker_pb2 import Reject, Served
from questline_core.pb.telemetry_pb2 import Event

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: Mapping[str, type[Message]] = {"events": Event, "rejects": Reject, "predictions": Served}
"""The tables of the dataset `telemetry`, and the message that is the contract of each."""


def bigquery_schema(message: type[Message]) -> list[dict[str, Any]]:
    """Describe the table of a message as BigQuery's table schema: name, type, mode, description and fields."""
    return [_bigquery_field(column) for column in columns(message)]


def mode(column: Column) -> str:
    """Name a column's mode as BigQuery does: REPEATED, REQUIRED or NULLABLE."""
    if column.repeated:
        return "REPEATED"
    return "REQUIRED" if column.required else "NULLABLE"


def _bigquery_field(column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {"name": column.name, "type": column.kind.value, "mode": mode(column)}
    if column.description:
        field["description"] = column.description
    if column.fields:
        field["fields"] = [_bigquery_field(part) for part in column.fields]
    return field


def arrow_schema(message: type[Message]) -> pa.Schema:
    """Describe the table of a message as an Arrow schema, which is also that of its Parquet files.

    Whole numbers are int64, timestamps are microseconds in UTC; a REQUIRED column is not nullable.
    """
    return _arrow_schema(columns(message))


@cache
def _arrow_schema(table: tuple[Column, ...]) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - the gateway's image holds no pyarrow, and BigQuery's schema needs none

    return pa.schema([arrow_field(column) for column in table])


def arrow_field(column: Column) -> pa.Field[Any]:
    """Describe one column as an Arrow field."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    kind = _arrow_types()[column.kind] if column.kind is not Kind.RECORD else _struct(column.fields)
    return pa.field(column.name, pa.list_(kind) if column.repeated else kind, nullable=not column.required)


def _struct(fields: Sequence[Column]) -> pa.StructType:
    import pyarrow as pa  # noqa: PLC0415 - as above

    return pa.struct([arrow_field(field) for field in fields])


@cache
def _arrow_types() -> Mapping[Kind, pa.DataType]:
    import pyarrow as pa  # noqa: PLC0415 - as above

    return {
        Kind.STRING: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.BYTES: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    }
