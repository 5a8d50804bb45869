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
from questline_core.warehouse.columns import googlesql_types
from questline_core.warehouse.googlesql import Translated, find_name

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "ieee_floating_point_ops": False,
    "memory_limit": "50%",
}
_UNKNOWN = {
    "column": re.compile(r'(?:Referenced column|does not have a column named) "([^"]+)"'),
    "table": re.compile(r'Referenced table "([^"]+)" not found'),
    "field": re.compile(r'Could not find key "([^"]+)" in struct'),
}
_CANDIDATES = re.compile(r"Candidate \w+\s*:\s*(.+)")


class Engine:
    """One in-memory DuckDB. It touches no network and no extension, and no file outside of `root`."""

    def __init__(self, root: Path) -> None:
        self._database = duckdb.connect(":memory:", config=_CONFIG)
        spill = Path(tempfile.gettempdir()) / f"questline-{os.getpid()}-{secrets.token_hex(4)}"
        define_macros(self._database)
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
            except duckdb.Error as error:
                raise BadInput(explain(query, str(error))) from error
        _check_names(found.column_names)
        return googlesql_types(found)

    def close(self) -> None:
        """Release the memory."""
        self._database.close()


def _check_names(names: list[str]) -> None:
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise BadInput(f"two columns of the result are named {twice[0]}; name them apart with AS")


def define_macros(database: duckdb.DuckDBPyConnection) -> None:
    """Give a DuckDB the macros that translated queries call."""
    database.execute((files("questline_core.warehouse") / "duckdb" / "macros.sql").read_text(encoding="utf-8"))


def explain(query: Translated, message: str) -> str:
    """Say in one sentence why DuckDB refused a query, with the place in the GoogleSQL text where it is known."""
    for kind, pattern in _UNKNOWN.items():
        if unknown := pattern.search(message):
            close = _CANDIDATES.search(message)
            similar = f"; similar: {close[1].strip()}" if close else ""
            return f"{find_name(query.question, unknown[1])}there is no {kind} {unknown[1]}{similar}"
    first = message.splitlines()[0]
    if "Division by zero" in first:
        return "the query failed: division by zero; SAFE_DIVIDE gives NULL instead"
    return "the query failed: " + re.sub(r"^[A-Za-z ]+ Error: ", "", first)
