"""Which keys a table already has: an index in memory, so that an append does not scan the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from questline_core.warehouse.columns import check_key
from questline_core.warehouse.engine import hide_progress
from questline_core.warehouse.manifest import Manifest

Halves = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Hashes:
    """128-bit hashes as two columns of 64 bits."""

    high: Halves
    low: Halves

    def __len__(self) -> int:
        return len(self.high)

    def take(self, places: npt.NDArray[Any]) -> Self:
        """Take the hashes at these places, or those that a mask lets through."""
        return type(self)(self.high[places], self.low[places])

    def in_order(self) -> Self:
        """Sort by both halves."""
        return self.take(np.lexsort((self.low, self.high)))

    def plus(self, other: Self) -> Self:
        """Put two sorted sets together, sorted again."""
        both = type(self)(np.concatenate((self.high, other.high)), np.concatenate((self.low, other.low)))
        return both.in_order()

    def known_of(self, asked: Self) -> npt.NDArray[np.bool_]:
        """Tell for each hash that is asked whether it is among these, which are sorted."""
        place = np.searchsorted(self.high, asked.high)
        found = np.zeros(len(asked), dtype=bool)
        going = np.arange(len(asked))
        # One round, but for two keys that agree in 64 bits.
        while len(going):
            going = going[place[going] < len(self)]
            going = going[self.high[place[going]] == asked.high[going]]
            same = self.low[place[going]] == asked.low[going]
            found[going[same]] = True
            going = going[~same]
            place[going] += 1
        return found


class KeyIndex:
    """128-bit hashes of all keys of one table (16 bytes a row), brought up to date from the files that are new.

    They lie in sorted runs; a run is merged with the one before it while that is less than twice as long, so that there
    are few runs and a key is moved only a few times.
    """

    def __init__(self, folder: Path, column: str) -> None:
        self._folder, self._column = folder, column
        self._name = '"' + column.replace('"', '""') + '"'
        self._epoch: tuple[str, int] | None = None
        self._indexed = set[str]()
        self._runs = list[Hashes]()
        self._new: Hashes | None = None
        self._database = duckdb.connect(":memory:", config={"autoload_known_extensions": False, "threads": 1})
        hide_progress(self._database)

    def catch_up(self, manifest: Manifest) -> None:
        """Index the files that were added since; start anew when rows were changed, removed or replaced."""
        if self._epoch != (manifest.table_id, manifest.epoch):
            self._runs.clear()
            self._indexed.clear()
            self._epoch = (manifest.table_id, manifest.epoch)
        new = [str(self._folder / part.file) for part in manifest.parts if part.file not in self._indexed]
        if new:
            self._learn(
                self._hashes(
                    "read_parquet($files, hive_partitioning = false, union_by_name = true)", {"files": new}
                ).in_order()
            )
        self._indexed = {part.file for part in manifest.parts}

    def fresh(self, rows: pa.Table) -> pa.Table:
        """Take the rows whose key is neither in the table nor earlier in the same rows.

        Raises:
            BadInput: a row has no key.
        """
        check_key(rows, self._column)
        with self._database.cursor() as cursor:
            cursor.register("batch", rows.select([self._column]))
            hashes = self._hashes("batch", None, cursor)
        order = np.lexsort((hashes.low, hashes.high))
        ordered = hashes.take(order)
        first = np.ones(len(order), dtype=bool)
        first[1:] = (ordered.high[1:] != ordered.high[:-1]) | (ordered.low[1:] != ordered.low[:-1])
        for run in self._runs:
            first &= ~run.known_of(ordered)
        self._new = ordered.take(first)
        return rows if first.all() else rows.take(np.sort(order[first]))

    def stored(self, file: str) -> None:
        """Note that the rows which were found fresh last are now in a file."""
        if self._new is not None:
            self._learn(self._new)
        self._new = None
        self._indexed.add(file)

    def merged(self, file: str) -> None:
        """Note a file that holds only rows that are indexed."""
        self._indexed.add(file)

    def close(self) -> None:
        """Release the memory."""
        self._database.close()
        self._runs.clear()

    def _learn(self, run: Hashes) -> None:
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs.append(self._runs.pop().plus(last))

    def _hashes(
        self, source: str, parameters: dict[str, Any] | None, database: duckdb.DuckDBPyConnection | None = None
    ) -> Hashes:
        text = f"CAST({self._name} AS VARCHAR)"
        # Shifts take a seventh of the time of md5_number_upper and md5_number_lower, which would make each hash twice.
        halves = (database or self._database).execute(
            f"""
            SELECT (hash >> 64)::UBIGINT AS high, (hash & 18446744073709551615::UHUGEINT)::UBIGINT AS low
            FROM (SELECT md5_number({text}) AS hash FROM {source})
            """,  # noqa: S608 - a quoted column name
            parameters,
        )
        found = halves.fetchnumpy()
        return Hashes(cast("Halves", np.asarray(found["high"])), cast("Halves", np.asarray(found["low"])))
