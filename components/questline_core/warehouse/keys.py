"""Which keys a table already has: an index in memory, so that an append does not scan the table."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from questline_core.errors import BadInput
from questline_core.warehouse.manifest import Manifest


class KeyIndex:
    """128-bit hashes of all keys of one table (16 bytes a row), brought up to date from the files that are new."""

    def __init__(self, folder: Path, column: str) -> None:
        self._folder, self._column = folder, column
        self._name = '"' + column.replace('"', '""') + '"'
        self._epoch: tuple[str, int] | None = None
        self._indexed = set[str]()
        self._database = duckdb.connect(":memory:", config={"autoload_known_extensions": False, "threads": 2})
        self._database.execute("SET enable_progress_bar = false; CREATE TABLE known (h UHUGEINT)")

    def catch_up(self, manifest: Manifest) -> None:
        """Index the files that were added since; start anew when the table was replaced."""
        if self._epoch != (manifest.table_id, manifest.epoch):
            self._database.execute("TRUNCATE known")
            self._indexed.clear()
            self._epoch = (manifest.table_id, manifest.epoch)
        new = [part.file for part in manifest.parts if part.file not in self._indexed]
        if new:
            self._database.execute(
                f"INSERT INTO known SELECT md5_number(CAST({self._name} AS VARCHAR))"  # noqa: S608 - a quoted column name
                " FROM read_parquet($files, hive_partitioning = false)",
                {"files": [str(self._folder / file) for file in new]},
            )
            self._indexed.update(new)

    def merged(self, file: str) -> None:
        """Note a file that holds only rows that are indexed."""
        self._indexed.add(file)

    def fresh(self, rows: pa.Table) -> pa.Table:
        """Take the rows whose key is neither in the table nor earlier in the same rows.

        Raises:
            BadInput: a row has no key.
        """
        if self._column not in rows.column_names or rows.column(self._column).null_count:
            raise BadInput(f"every row needs a value in {self._column}, the key that keeps it from being stored twice")
        keys = pa.table({"k": rows.column(self._column), "i": pa.array(range(rows.num_rows), pa.int64())})
        cursor = self._database.cursor()
        cursor.register("batch", keys)
        found = cursor.sql(
            "SELECT min(i) AS i FROM (SELECT md5_number(CAST(k AS VARCHAR)) AS h, i FROM batch)"
            " ANTI JOIN known USING (h) GROUP BY h ORDER BY i"
        ).to_arrow_table()
        cursor.unregister("batch")
        return rows if found.num_rows == rows.num_rows else rows.take(found.column("i"))

    def close(self) -> None:
        """Release the memory."""
        self._database.close()
