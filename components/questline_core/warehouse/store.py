"""What lies in the warehouse's folder: tables, views, their files and columns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from questline_core.durable import make_folder, put_in_place, sync
from questline_core.errors import BadInput
from questline_core.warehouse.manifest import MANIFEST, Manifest, read_manifest
from questline_core.warehouse.port import parts_of

if TYPE_CHECKING:
    import pyarrow as pa

    from questline_core.warehouse.table import TableWriter

_VIEW = "_view.sql"


class Store:
    """One folder, DATASET/TABLE/ for each table or view."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()
        """Held by a thread of this process that writes."""
        self._writers = dict[str, "TableWriter"]()
        self._schemas = dict[Path, "pa.Schema"]()

    def tables(self) -> Sequence[str]:
        """Name all tables, sorted."""
        return self._named(MANIFEST)

    def views(self) -> Sequence[str]:
        """Name all views, sorted."""
        return self._named(_VIEW)

    def datasets(self) -> Sequence[str]:
        """Name the datasets that hold a table or a view, sorted."""
        return sorted({name.partition(".")[0] for name in (*self.tables(), *self.views())})

    def manifest(self, table: str) -> Manifest:
        """Read the state of a table.

        Raises:
            BadInput: there is no such table.
        """
        manifest = read_manifest(self.folder(table))
        if manifest is None:
            raise BadInput(f"there is no table {table}")
        return manifest

    def files(self, table: str) -> tuple[str, ...]:
        """Name the files that a reader of the table needs, with their folder."""
        folder = self.folder(table)
        return tuple(str(folder / file) for file in self.manifest(table).files)

    def schema(self, table: str) -> pa.Schema:
        """Read the columns of a table."""
        from questline_core.warehouse.table import read_schema  # noqa: PLC0415 - a query needs no Parquet writer

        folder, manifest = self.folder(table), self.manifest(table)
        path = folder / manifest.schema
        if path not in self._schemas:
            self._schemas[path] = read_schema(folder, manifest)
        return self._schemas[path]

    def folder(self, table: str) -> Path:
        """Give the folder of a table.

        Raises:
            BadInput: this is no name of a table.
        """
        return self.root.joinpath(*parts_of(table))

    def writer(self, table: str) -> TableWriter:
        """Give what writes a table, which need not be there yet."""
        from questline_core.warehouse.table import TableWriter  # noqa: PLC0415 - a query needs no Parquet writer

        if table not in self._writers:
            self._writers[table] = TableWriter(self.folder(table), table)
        return self._writers[table]

    def view(self, name: str) -> str:
        """Read the query of a view."""
        return (self.folder(name) / _VIEW).read_text(encoding="utf-8")

    def put_view(self, name: str, query: str) -> None:
        """Make a view or put another query in its place."""
        make_folder(self.folder(name))
        put_in_place(self.folder(name) / _VIEW, query.encode())

    def drop_view(self, name: str) -> None:
        """Delete a view."""
        (self.folder(name) / _VIEW).unlink()
        sync(self.folder(name))

    def close(self) -> None:
        """Release the memory of the writers."""
        with self.lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()

    def _named(self, file: str) -> Sequence[str]:
        return sorted(f"{path.parent.parent.name}.{path.parent.name}" for path in self.root.glob(f"*/*/{file}"))
