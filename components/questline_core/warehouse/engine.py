"""A DuckDB that reads the warehouse's files and nothing else, and answers with GoogleSQL's types."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import farmhash
import pyarrow as pa
from duckdb.func import PythonUDFType

from questline_core.errors import BadInput
from questline_core.warehouse.columns import googlesql_types
from questline_core.warehouse.googlesql import Translated, find_word
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.where import at

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "ieee_floating_point_ops": False,
    "memory_limit": "50%",
}
_UNKNOWN = {
    "column": re.compile(
        r'(?:Referenced column|does not have a column named) "([^"]+)"'
        r'|Column "([^"]+)" referenced that exists in the SELECT'
    ),
    "table": re.compile(r'Referenced table "([^"]+)" not found|Table with name (\S+) does not exist'),
    "field": re.compile(r'Could not find key "([^"]+)" in struct'),
}
_CANDIDATES = re.compile(r"Candidate \w+\s*:\s*(.+)")
_WORDS = re.compile(r"""["']([^"'(]+)|source column (\w+)|value: (.+)""")
_TYPES = {
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "BOOLEAN": "BOOL",
    "VARCHAR": "STRING",
    "DOUBLE": "FLOAT64",
    "BIGINT": "INT64",
    "INTEGER": "INT64",
    "INT32": "INT64",
    "BLOB": "BYTES",
}
"""DuckDB's names of types, and GoogleSQL's."""


class Engine:
    """One in-memory DuckDB. It touches no network and no extension, and no file outside of `root`."""

    def __init__(self, root: Path) -> None:
        self._database = duckdb.connect(":memory:", config=_CONFIG)
        spill = Path(tempfile.gettempdir()) / f"questline-{os.getpid()}-{secrets.token_hex(4)}"
        define_macros(self._database)
        self._database.execute("SET temp_directory = $path", {"path": str(spill)})
        self._database.execute("SET allowed_directories = $paths", {"paths": [str(root)]})
        hide_progress(self._database)
        self._database.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
        self._database.execute("SET lock_configuration = true")

    def run(self, query: Translated, relations: Mapping[str, pa.Table] = MappingProxyType({})) -> pa.Table:
        """Run a translated query over files and these tables in memory; safe from several threads.

        Raises:
            BadInput: a column is not there, types don't fit, or a value makes the query fail.
        """
        with self._database.cursor() as cursor:
            for name, rows in relations.items():
                cursor.register(name, rows)
            try:
                found = cursor.sql(query.sql, params=query.parameters or None).to_arrow_table()
            except duckdb.Error as error:
                raise BadInput(explain(query, str(error))) from error
        check_names(query, found.column_names)
        with at(place(query.question.tree)):
            return googlesql_types(found)

    def close(self) -> None:
        """Release the memory."""
        self._database.close()


def check_names(query: Translated, names: list[str]) -> None:
    """Refuse a result with two columns of one name, in any case, as BigQuery does.

    Raises:
        BadInput: there are two.
    """
    lower = [name.lower() for name in names]
    twice = [name for index, name in enumerate(names) if name.lower() in lower[:index]]
    if twice:
        where = find_word(query.question, twice[0])
        raise BadInput(f"{where}: two columns of the result are named {twice[0]}; name them apart with AS")


def hide_progress(database: duckdb.DuckDBPyConnection) -> None:
    """Keep DuckDB from drawing progress bars.

    In Jupyter without ipywidgets it cannot draw any, and refuses to be told so.
    """
    if database.sql("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        database.execute("SET enable_progress_bar = false")


def define_macros(database: duckdb.DuckDBPyConnection) -> None:
    """Give a DuckDB the functions and macros that translated queries call."""
    # A lambda, for DuckDB would evaluate the annotations of the function itself.
    of_bytes: Any = lambda column: farm_fingerprint(column)  # noqa: E731, PLW0108
    database.create_function("farm_fingerprint_of_bytes", of_bytes, ["BLOB"], "BIGINT", type=PythonUDFType.ARROW)
    database.execute((files("questline_core.warehouse") / "duckdb" / "macros.sql").read_text(encoding="utf-8"))


def farm_fingerprint(values: pa.Array[Any]) -> pa.Array[Any]:
    """Give BigQuery's FARM_FINGERPRINT of bytes, or of the UTF-8 of texts: an INT64."""
    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    hashes = [None if value is None else farmhash.fingerprint64(value) for value in column.to_pylist()]
    return pa.array(hashes, pa.uint64()).view(pa.int64())


def explain(query: Translated, message: str) -> str:
    """Say in one sentence why DuckDB refused a query, with the place in the GoogleSQL text where it is known."""
    for kind, pattern in _UNKNOWN.items():
        if unknown := pattern.search(message):
            name = unknown[unknown.lastindex or 1]
            close = _CANDIDATES.search(message)
            similar = f"; similar: {close[1].strip()}" if close else ""
            return f"{find_word(query.question, name)}: there is no {kind} {name}{similar}"
    first = re.sub(r"^[A-Za-z ]+ Error: ", "", message.splitlines()[0])
    if "Division by zero" in first:
        where = find_word(query.question, "/", "MOD", "DIV")
        return f"{where}: the query failed: division by zero; SAFE_DIVIDE gives NULL instead"
    words = [word for found in _WORDS.findall(first) for word in found if word]
    told = re.sub(rf"\b({'|'.join(_TYPES)})\b", lambda found: _TYPES[found[0]], first)
    return f"{find_word(query.question, *words)}: the query failed: {told}"
