"""The embedded warehouse: GoogleSQL on DuckDB over a folder of Parquet files for each table."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questline_core.errors import BadInput
from questline_core.warehouse.engine import Engine
from questline_core.warehouse.googlesql import parse, translate
from questline_core.warehouse.manifest import MANIFEST, Manifest, read_manifest
from questline_core.warehouse.port import Appended, Description

if TYPE_CHECKING:
    import pyarrow as pa

    from questline_core.warehouse.table import TableWriter

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_]+")


class EmbeddedWarehouse:
    """One folder, DATASET/TABLE/ for each table. Any number of processes read; a table has one writer at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._engine = Engine(root)
        self._writers = dict[str, "TableWriter"]()
        self._lock = threading.RLock()

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one GoogleSQL query on the tables as they are now."""
        question = parse(sql)
        files = {name: self._files(name) for name in question.table_names(self.tables)}
        return self._engine.run(translate(question, files, parameters))

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table; one with the same columns stays as it is."""
        with self._lock:
            self._writer(table).create(schema)

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        """Add rows in one durable step, those left out whose key is there already."""
        with self._lock:
            return self._writer(table).append(rows, key)

    def replace(self, table: str, rows: pa.Table) -> None:
        """Put rows in place of the table's content in one step."""
        with self._lock:
            self._writer(table).replace(rows)

    def version(self, table: str) -> str:
        """Name the version of the table's content."""
        return self._manifest(table).content_version

    def tables(self) -> Sequence[str]:
        """Name all tables, sorted."""
        return sorted(f"{path.parent.parent.name}.{path.parent.name}" for path in self._root.glob(f"*/*/{MANIFEST}"))

    def describe(self, table: str) -> Description:
        """Tell a table's columns and how many rows it has, from its manifest."""
        from questline_core.warehouse.table import read_schema  # noqa: PLC0415 - a query needs no Parquet writer

        manifest = self._manifest(table)
        return Description(rows=manifest.rows, schema=read_schema(self._folder(table), manifest))

    def close(self) -> None:
        """Release files and memory."""
        with self._lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
        self._engine.close()

    def _files(self, table: str) -> tuple[str, ...]:
        return tuple(str(self._folder(table) / file) for file in self._manifest(table).files)

    def _manifest(self, table: str) -> Manifest:
        manifest = read_manifest(self._folder(table))
        if manifest is None:
            raise BadInput(f"there is no table {table}")
        return manifest

    def _folder(self, table: str) -> Path:
        if not _NAME.fullmatch(table):
            raise BadInput(f"{table!r} is no name of a table; write DATASET.TABLE with letters, digits and _")
        dataset, _, name = table.partition(".")
        return self._root / dataset / name

    def _writer(self, table: str) -> TableWriter:
        from questline_core.warehouse.table import TableWriter  # noqa: PLC0415 - a query needs no Parquet writer

        if table not in self._writers:
            self._writers[table] = TableWriter(self._folder(table), table)
        return self._writers[table]


def open_embedded(folder: str) -> EmbeddedWarehouse:
    """Open the warehouse in a folder, which need not exist yet."""
    return EmbeddedWarehouse(Path(folder).expanduser().resolve())
