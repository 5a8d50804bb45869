"""GoogleSQL's own analyzer and reference engine as the judge of our SQL: what is valid, and what a query answers."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import wasmtime
from zetasql import types
from zetasql.api import Analyzer, CatalogBuilder, PreparedQuery, TableBuilder, TypeFactory
from zetasql.core import wasm_client
from zetasql.core.local_service import ZetaSqlLocalService
from zetasql.types import TypeKind
from zetasql.wasi._pb2.zetasql.local_service import local_service_pb2

_KINDS: Mapping[str, TypeKind] = {
    "STRING": TypeKind.TYPE_STRING,
    "INTEGER": TypeKind.TYPE_INT64,
    "FLOAT": TypeKind.TYPE_DOUBLE,
    "BOOLEAN": TypeKind.TYPE_BOOL,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
    "DATE": TypeKind.TYPE_DATE,
    "BYTES": TypeKind.TYPE_BYTES,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Judge:
    """Knows tables by their BigQuery schemas, analyzes GoogleSQL against them and runs queries that read no table."""

    def __init__(self, cache: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Prepare the engine; `cache` is a folder for its compiled form, which takes some 20 s of CPU to make."""
        _make_fast(cache)
        language = types.LanguageOptions.maximum_features()
        language.product_mode = types.ProductMode.PRODUCT_EXTERNAL
        self._options = types.AnalyzerOptions(
            language_options=language, allow_undeclared_parameters=True, default_timezone="UTC"
        )
        builtin = types.ZetaSQLBuiltinFunctionOptions(language_options=language)
        self._catalog = CatalogBuilder("project").with_builtin_functions(builtin).build()
        self._no_tables = CatalogBuilder("project").with_builtin_functions(builtin).build()
        for dataset in sorted({name.partition(".")[0] for name in tables}):
            inner = CatalogBuilder(dataset)
            for name, fields in tables.items():
                if name.startswith(f"{dataset}."):
                    inner.add_table(_table(name.partition(".")[2], fields))
            self._catalog.catalog.append(inner.build())

    def analyze(self, sql: str) -> None:
        """Let the statement pass, or raise what GoogleSQL's analyzer has against it."""
        Analyzer(self._options, self._catalog).analyze_statement(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query in the reference engine; raises where GoogleSQL fails."""
        builder = PreparedQuery.builder().set_sql(sql).set_analyzer_options(self._options).set_catalog(self._no_tables)
        with builder.prepare() as query:
            # Not query.execute(): its wrapper loses the times of a result.
            request = types.EvaluateQueryRequest(prepared_query_id=query.prepared_query_id).to_proto()
            service = ZetaSqlLocalService.get_instance().wasm_client
            answer = service.call_grpc_func(
                "ZetaSqlLocalService_EvaluateQuery", request, local_service_pb2.EvaluateQueryResponse
            )
            return [tuple(_decode(cell) for cell in row.cell) for row in answer.content.table_data.row]


def comparable(value: Any) -> Any:
    """Bring a value of either engine into one form: floats to 12 digits, structs as tuples, times in UTC."""
    if isinstance(value, float):
        return str(value) if math.isnan(value) or math.isinf(value) else float(f"{value:.12g}")
    if isinstance(value, dict):
        return tuple(comparable(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return tuple(comparable(item) for item in value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def _make_fast(cache: Path) -> None:
    compiled = cache / f"zetasql-{version('zetasql')}-{version('wasmtime')}.cwasm"

    def from_file(engine: wasmtime.Engine, path: str) -> wasmtime.Module:
        if not compiled.exists():
            aside = compiled.with_suffix(f".{os.getpid()}")
            aside.write_bytes(wasmtime.Module.from_file(engine, path).serialize())
            aside.replace(compiled)
        return wasmtime.Module.deserialize_file(engine, str(compiled))

    def write_bytes(client: Any, start: int, data: bytes) -> None:
        ctypes.memmove(_address(client) + start, data, len(data))

    def read_bytes(client: Any, start: int, size: int) -> bytes:
        return ctypes.string_at(_address(client) + start, size)

    # The package compiles anew in every process and copies byte by byte.
    wasm_client.Module = SimpleNamespace(from_file=from_file)
    wasm_client.WasmClient.write_bytes = write_bytes
    wasm_client.WasmClient.read_bytes = read_bytes


def _address(client: Any) -> int:
    return ctypes.addressof(client.memory.data_ptr().contents)


def _table(name: str, fields: Sequence[Mapping[str, Any]]) -> types.SimpleTable:
    table = TableBuilder(name)
    for field in fields:
        table.add_column(field["name"], _type(field))
    return table.build()


def _type(field: Mapping[str, Any]) -> types.Type:
    if field["type"] == "RECORD":
        inner = TypeFactory.create_struct_type([(part["name"], _type(part)) for part in field["fields"]])
    else:
        inner = TypeFactory.create_simple_type(_KINDS[field["type"]])
    return TypeFactory.create_array_type(inner) if field["mode"] == "REPEATED" else inner


def _decode(value: Any) -> Any:
    which = value.WhichOneof("value")
    content: Any = getattr(value, which) if which else None
    match which:
        case "array_value":
            return [_decode(item) for item in content.element]
        case "struct_value":
            return tuple(_decode(item) for item in content.field)
        case "date_value":
            return _EPOCH.date() + timedelta(days=content)
        case "timestamp_value":
            return _EPOCH + timedelta(seconds=content.seconds, microseconds=content.nanos // 1000)
        case "datetime_value":
            return _datetime(content.bit_field_datetime_seconds, content.nanos)
        case _:
            return content


def _datetime(bits: int, nanos: int) -> datetime:
    """Unpack a DATETIME: year, month, day, hour, minute and second in 14, 4, 5, 5, 6 and 6 bits."""
    parts = []
    for width in (6, 6, 5, 5, 4, 14):
        parts.append(bits & ((1 << width) - 1))
        bits >>= width
    second, minute, hour, day, month, year = parts
    return datetime(year, month, day, hour, minute, second, nanos // 1000)  # noqa: DTZ001 - a DATETIME has no zone
