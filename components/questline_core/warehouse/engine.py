"""A DuckDB that reads the warehouse's files and nothing else, and answers with GoogleSQL's types."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa

from questline_core.errors import BadInput
from questline_core.warehouse.googlesql import Translated, find_name

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "ieee_floating_point_ops": False,
    "memory_limit": "50%",
}
_UNKNOWN_COLUMN = re.compile(
    r'(?:column|Table) "([^"]+)" (?:not found|does not exist)|does not have a column named "([^"]+)"'
)
_CANDIDATES = re.compile(r"Candidate (?:bindings|entries|functions)\s*:\s*(.+)")
_HUGEINT = pa.decimal128(38, 0)
_UTC = pa.timestamp("us", "UTC")


class Engine:
    """One in-memory DuckDB. It touches no network and no extension, and no file outside of `root`."""

    def __init__(self, root: Path) -> None:
        self._database = duckdb.connect(":memory:", config=_CONFIG)
        spill = Path(tempfile.gettempdir()) / f"questline-{os.getpid()}-{secrets.token_hex(4)}"
        self._database.execute(
            (files("questline_core.warehouse") / "duckdb" / "macros.sql").read_text(encoding="utf-8")
        )
        self._database.execute("SET temp_directory = $path", {"path": str(spill)})
        self._database.execute("SET allowed_directories = $paths", {"paths": [str(root)]})
        self._database.execute(
            "SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET enable_external_access = false"
        )
        self._database.execute("SET lock_configuration = true")

    def run(self, query: Translated) -> pa.Table:
        """Run a translated query; safe from several threads.

        Raises:
            BadInput: a column is not there, types don't fit, or a value makes the query fail.
        """
        with self._database.cursor() as cursor:
            try:
                found = cursor.sql(query.sql, params=query.parameters or None).to_arrow_table()
                return googlesql_types(found)
            except duckdb.Error as error:
                raise BadInput(explain(query, str(error))) from error

    def close(self) -> None:
        """Release the memory."""
        self._database.close()


def googlesql_types(table: pa.Table) -> pa.Table:
    """Give the columns the types that BigQuery has: INT64 for any integer, FLOAT64, TIMESTAMP in UTC.

    Raises:
        BadInput: a sum is too large for INT64.
    """
    schema = pa.schema([pa.field(field.name, _google(field.type)) for field in table.schema])
    try:
        return table if schema == table.schema else table.cast(schema)
    except pa.ArrowInvalid as error:
        raise BadInput(f"a result is too large for INT64 ({error})") from None


def _google(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(type_) or type_ == _HUGEINT or pa.types.is_null(type_):
        return pa.int64()
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_timestamp(type_):
        return _UTC if type_.tz else pa.timestamp("us")
    if pa.types.is_list(type_):
        return pa.list_(_google(type_.value_type))
    if pa.types.is_struct(type_):
        fields = (type_.field(i) for i in range(type_.num_fields))
        return pa.struct([pa.field(field.name, _google(field.type)) for field in fields])
    return type_


def explain(query: Translated, message: str) -> str:
    """Say in one sentence why DuckDB refused a query, with the place in the GoogleSQL text where it is known."""
    first = message.splitlines()[0]
    unknown = _UNKNOWN_COLUMN.search(message)
    if unknown:
        name = unknown[1] or unknown[2]
        close = _CANDIDATES.search(message)
        hint = f"; similar: {close[1].strip()}" if close else ""
        return f"{find_name(query.question, name)}there is no column {name}{hint}"
    return "the query failed: " + re.sub(r"^[A-Za-z ]+ Error: ", "", first)
