"""The shape of tables: Arrow schemas as BigQuery's and back, and how the tables of the event contract are laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
from google.cloud import bigquery

from questline_core.errors import BadInput
from questline_core.events.schema import TABLES, arrow_schema, bigquery_schema
from questline_core.warehouse.columns import members, same_columns
from questline_core.warehouse.port import DAYS, EVENTS, PREDICTIONS, REJECTS
from questline_core.warehouse.schemas import TYPES

_ARROW: Mapping[str, pa.DataType] = {
    **TYPES,
    "TIME": pa.time64("us"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "JSON": pa.string(),
    "GEOGRAPHY": pa.string(),
}
_BIGQUERY: tuple[tuple[Callable[[pa.DataType], bool], str], ...] = (
    (pa.types.is_string, "STRING"),
    (pa.types.is_large_string, "STRING"),
    (pa.types.is_binary, "BYTES"),
    (pa.types.is_integer, "INTEGER"),
    (pa.types.is_floating, "FLOAT"),
    (pa.types.is_boolean, "BOOLEAN"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_decimal128, "NUMERIC"),
    (pa.types.is_decimal256, "BIGNUMERIC"),
)


_CLUSTERS: Mapping[str, tuple[str, ...]] = {
    EVENTS: ("user_pseudo_id", "event_name"),
    REJECTS: ("reason",),
    PREDICTIONS: ("model", "user_pseudo_id"),
}
"""The columns by which rows of a day lie together, so that a query reads less; the same as terraform/ says."""
_CONTRACTS = {f"telemetry.{name}": message for name, message in TABLES.items()}


def shaped(reference: bigquery.TableReference, name: str, schema: pa.Schema) -> bigquery.Table:
    """Describe a table that is to be made: columns, and for tables of the contract descriptions and layout."""
    table = bigquery.Table(reference, schema=fields_of(name, schema))
    if DAYS.get(name) in schema.names:
        table.time_partitioning = bigquery.TimePartitioning(type_="DAY", field=DAYS[name])
    cluster = _CLUSTERS.get(name, ())
    if cluster and set(cluster) <= set(schema.names):
        table.clustering_fields = list(cluster)
    table.labels = {"questline": "table"}
    return table


def fields_of(name: str, schema: pa.Schema) -> list[bigquery.SchemaField]:
    """Give the columns of a table in BigQuery's words; those of the event contract bring their descriptions."""
    contract = _CONTRACTS.get(name)
    if contract is not None and same_columns(arrow_schema(contract), schema):
        return [bigquery.SchemaField.from_api_repr(field) for field in bigquery_schema(contract)]
    return [_to_field(field) for field in schema]


def schema_of(fields: Iterable[bigquery.SchemaField]) -> pa.Schema:
    """Give the Arrow schema of columns that BigQuery describes.

    Raises:
        BadInput: a column has a type that no Arrow column can hold.
    """
    return pa.schema([_from_field(field) for field in fields])


def plain(table: pa.Table) -> pa.Table:
    """Drop the notes that Google's client writes on columns and the names of list items, so that types compare."""
    schema = pa.schema([pa.field(f.name, _plain(f.type), nullable=f.nullable) for f in table.schema])
    return table if schema.equals(table.schema, check_metadata=True) else table.cast(schema)


def quoted(*names: str) -> str:
    """Write names of columns for a query, with commas between them."""
    return ", ".join(f"`{name}`" for name in names)


def path(name: str) -> str:
    """Write a name with dots, such as DATASET.TABLE or RECORD.FIELD, for a query."""
    return ".".join(f"`{part}`" for part in name.split("."))


def _plain(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_list(type_):
        return pa.list_(_plain(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _plain(field.type)) for field in members(type_)])
    return type_


def _to_field(field: pa.Field[Any]) -> bigquery.SchemaField:
    type_, mode = field.type, "NULLABLE" if field.nullable else "REQUIRED"
    if pa.types.is_list(type_):
        type_, mode = type_.value_type, "REPEATED"
    if pa.types.is_struct(type_):
        return bigquery.SchemaField(field.name, "RECORD", mode, fields=[_to_field(part) for part in members(type_)])
    if pa.types.is_timestamp(type_):
        return bigquery.SchemaField(field.name, "TIMESTAMP" if type_.tz else "DATETIME", mode)
    for is_kind, name in _BIGQUERY:
        if is_kind(type_):
            return bigquery.SchemaField(field.name, name, mode)
    raise BadInput(f"column {field.name} is {type_}, which BigQuery does not have")


def _from_field(field: bigquery.SchemaField) -> pa.Field[Any]:
    if field.field_type in {"RECORD", "STRUCT"}:
        type_: pa.DataType = pa.struct([_from_field(part) for part in field.fields])
    elif field.field_type in _ARROW:
        type_ = _ARROW[field.field_type]
    else:
        raise BadInput(f"column {field.name} is {field.field_type}, which Questline cannot read; select it AS another")
    repeated = field.mode == "REPEATED"
    return pa.field(field.name, pa.list_(type_) if repeated else type_, nullable=field.mode != "REQUIRED")
