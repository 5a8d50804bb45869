"""The embedded warehouse: GoogleSQL on DuckDB over a folder of Parquet files for each table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from questline_core.errors import BadInput
from questline_core.warehouse.engine import Engine
from questline_core.warehouse.port import DAYS, Appended, Description, Estimate
from questline_core.warehouse.store import Store

if TYPE_CHECKING:
    import pyarrow as pa


class EmbeddedWarehouse:
    """One folder, DATASET/TABLE/ for each table. Any number of processes read; a table has one writer at a time."""

    def __init__(self, root: Path) -> None:
        self._store = Store(root)
        self._engine = Engine(root)

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one GoogleSQL statement or script on the tables as they are now."""
        from questline_core.warehouse.statements.run import run  # noqa: PLC0415 - it writes Parquet, a writer may not ask

        return run(self._store, self._engine, sql, parameters)

    def estimate(self, sql: str, **parameters: Any) -> Estimate:  # noqa: ARG002 - no value changes which files are read
        """Tell the size of the tables that a query asks; this machine bills nothing."""
        from questline_core.warehouse.statements.sizes import bytes_asked  # noqa: PLC0415 - as above

        size = bytes_asked(self._store, sql)
        return Estimate(bytes_read=size, usd=0.0, basis="the whole files of the tables; this machine bills nothing")

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table; one with the same columns stays as it is."""
        with self._store.lock:
            self._store.writer(table).create(schema)

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        """Add rows in one durable step, those left out whose key is there already."""
        with self._store.lock:
            return self._store.writer(table).append(rows, key)

    def replace(self, table: str, rows: pa.Table, *, partition: date | None = None) -> None:
        """Put rows in place of the table's content, or of one day of it, in one step."""
        with self._store.lock:
            writer = self._store.writer(table)
            if partition is None:
                writer.replace(rows)
            else:
                column = self._store.manifest(table).partition or DAYS.get(table, "")
                if not column:
                    raise BadInput(f"{table} is not divided into days; make it with PARTITION BY a DATE column")
                writer.replace_day(rows, partition, column)

    def erase(self, table: str, *, column: str, values: Sequence[Any]) -> int:
        """Remove rows by a column's values; their files are gone from the disk when this returns.

        A query that began before may fail, because its files are gone.
        """
        with self._store.lock:
            return self._store.writer(table).erase(column, values)

    def version(self, table: str) -> str:
        """Name the version of the table's content."""
        return self._store.manifest(table).content_version

    def tables(self) -> Sequence[str]:
        """Name all tables, sorted."""
        return self._store.tables()

    def describe(self, table: str) -> Description:
        """Tell a table's columns and how many rows it has, from its manifest."""
        return Description(rows=self._store.manifest(table).rows, schema=self._store.schema(table))

    def close(self) -> None:
        """Release files and memory."""
        self._store.close()
        self._engine.close()


def open_embedded(folder: str) -> EmbeddedWarehouse:
    """Open the warehouse in a folder, which need not exist yet."""
    return EmbeddedWarehouse(Path(folder).expanduser().resolve())
