"""INFORMATION_SCHEMA: what tables, columns, datasets and partitions there are, as tables that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pyarrow as pa

from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name
from questline_core.warehouse.port import DAYS
from questline_core.warehouse.store import Store

PROJECT = "questline"
"""The name of the project, which the embedded warehouse does not have."""
PREFIX = "INFORMATION_SCHEMA."
_TEXT, _NUMBER = pa.string(), pa.int64()
_TABLE = {"table_catalog": _TEXT, "table_schema": _TEXT, "table_name": _TEXT}
_COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = {
    "SCHEMATA": {"catalog_name": _TEXT, "schema_name": _TEXT},
    "TABLES": {**_TABLE, "table_type": _TEXT, "is_insertable_into": _TEXT},
    "COLUMNS": {
        **_TABLE,
        "column_name": _TEXT,
        "ordinal_position": _NUMBER,
        "is_nullable": _TEXT,
        "data_type": _TEXT,
        "is_partitioning_column": _TEXT,
        "clustering_ordinal_position": _NUMBER,
    },
    "PARTITIONS": {**_TABLE, "partition_id": _TEXT, "total_rows": _NUMBER},
}


def information(store: Store, view: str, dataset: str, ask: Callable[[str], pa.Table]) -> pa.Table:
    """Give the rows of an INFORMATION_SCHEMA view, for one dataset or, with an empty name, for all.

    Raises:
        BadInput: there is no such view or dataset.
    """
    if view not in _COLUMNS:
        raise BadInput(f"there is no {PREFIX}{view} here; there are {', '.join(_COLUMNS)}")
    if dataset and dataset not in store.datasets():
        raise BadInput(f"there is no dataset {dataset}; there are {', '.join(store.datasets()) or 'none'}")
    if view == "SCHEMATA":
        rows: Iterable[tuple[object, ...]] = ((PROJECT, name) for name in store.datasets())
    else:
        rows = (
            (PROJECT, *name.split("."), *facts)
            for name in sorted({*store.tables(), *store.views()})
            if not dataset or name.startswith(f"{dataset}.")
            for facts in _facts(store, view, name, ask)
        )
    schema = pa.schema(list(_COLUMNS[view].items()))
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def _facts(store: Store, view: str, name: str, ask: Callable[[str], pa.Table]) -> Iterable[tuple[object, ...]]:
    is_table = name in store.tables()
    if view == "TABLES":
        return [("BASE TABLE", "YES") if is_table else ("VIEW", "NO")]
    if view == "PARTITIONS":
        return _partitions(store, name, ask) if is_table else []
    schema = store.schema(name) if is_table else ask(f"SELECT * FROM `{name}` LIMIT 0").schema  # noqa: S608 - a known name
    return _columns(store, name, schema, is_table=is_table)


def _columns(store: Store, name: str, schema: pa.Schema, *, is_table: bool) -> Iterable[tuple[object, ...]]:
    cluster = store.manifest(name).cluster if is_table else ()
    by = partition_of(store, name) if is_table else ""
    for place, field in enumerate(schema, start=1):
        divides = field.name in by.replace("(", " ").replace(")", " ").replace(",", " ").split()
        order = cluster.index(field.name) + 1 if field.name in cluster else None
        nullable = "YES" if field.nullable else "NO"
        yield field.name, place, nullable, type_name(field.type), "YES" if divides else "NO", order


def _partitions(store: Store, name: str, ask: Callable[[str], pa.Table]) -> Iterable[tuple[object, ...]]:
    by = partition_of(store, name)
    if not by:
        return [(None, store.manifest(name).rows)]
    format_ = next((text for unit, text in _FORMATS.items() if f"{unit})" in by.upper()), "%Y%m%d")
    value = by if "(" in by else f"TIMESTAMP({by})"
    value = f"TIMESTAMP({value})" if value.upper().startswith("DATE") else value
    id_ = f"COALESCE(FORMAT_TIMESTAMP('{format_}', {value}), '__NULL__')"
    found = ask(f"SELECT {id_} AS id, COUNT(*) AS n FROM `{name}` GROUP BY id ORDER BY id")  # noqa: S608 - known names
    return [(row["id"], row["n"]) for row in found.to_pylist()]


_FORMATS: Mapping[str, str] = {"HOUR": "%Y%m%d%H", "MONTH": "%Y%m", "YEAR": "%Y"}


def partition_of(store: Store, name: str) -> str:
    """Tell by what a table is partitioned; empty when it is not."""
    return store.manifest(name).partition or DAYS.get(name, "")
