"""Write one embedded table: appends, replacements, and merging of the small files that many appends leave."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from questline_core.durable import make_folder, settle, sync
from questline_core.errors import BadInput
from questline_core.warehouse.columns import fit, only_adds, same_columns
from questline_core.warehouse.keys import KeyIndex
from questline_core.warehouse.lock import write_lock
from questline_core.warehouse.manifest import GRACE_S, MANIFEST, Manifest, Part, read_manifest, sweep, write_manifest
from questline_core.warehouse.port import Appended

log = structlog.get_logger()

MANY_PARTS = 32
"""With more small files than this, an append merges some."""
FULL_PART_ROWS = 250_000
"""A file of this size is not merged any more; the work of one merge is bounded by it too."""
ROW_GROUP_ROWS = 122_880
SMALL_ROWS = 50_000
"""A file of no more rows is written fast and large, without dictionaries: merging makes it small."""


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that go, by file and place in it, and rows that come."""

    gone: Mapping[str, Sequence[int]]
    new: pa.Table | None


class TableWriter:
    """The writing side of one table in one process; other processes may write between two calls."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self._keys = dict[str, KeyIndex]()

    def create(self, schema: pa.Schema) -> None:
        """Make the table if it is not there, or give it the columns that it lacks."""
        with self._writing():
            manifest = read_manifest(self.folder)
            if manifest is None:
                write_manifest(self.folder, Manifest.new(self._write_schema(schema)))
            elif only_adds(schema, held := read_schema(self.folder, manifest)):
                write_manifest(self.folder, manifest.with_columns(self._write_schema(schema)))
            elif not same_columns(held, schema):
                raise BadInput(f"{self.name} exists with other columns; replace its content, or use another name")

    def append(self, rows: pa.Table, key: str | None) -> Appended:
        """Add rows whose key is new, as one file."""
        self._manifest()
        with self._writing():
            manifest = self._manifest()
            fitted = fit(rows, read_schema(self.folder, manifest), self.name)
            new = fitted if key is None else self._index(key, manifest).fresh(fitted)
            if new.num_rows:
                part = self._write_part(new)
                manifest = manifest.plus(part)
                write_manifest(self.folder, manifest)
                if key is not None:
                    self._keys[key].stored(part.file)
                self._tidy(manifest)
        return Appended(rows=new.num_rows, skipped=rows.num_rows - new.num_rows)

    def replace(self, rows: pa.Table) -> None:
        """Put these rows in place of the table's content, in one step."""
        with self._writing():
            old = read_manifest(self.folder)
            schema = self._write_schema(rows.schema)
            part = self._write_part(rows) if rows.num_rows else None
            new = (old or Manifest.new(schema)).replaced(schema, part)
            write_manifest(self.folder, new)
            if old is not None:
                sweep(self.folder, new, retired=frozenset((old.schema, *(p.file for p in old.parts))))

    def replace_day(self, rows: pa.Table, day: date, column: str) -> None:
        """Put these rows, all of one day, in place of the day's rows."""
        with self._writing():
            manifest = self._manifest()
            fitted = fit(rows, read_schema(self.folder, manifest), self.name)
            if column not in fitted.column_names or fitted.schema.field(column).type != pa.date32():
                raise BadInput(f"{self.name} has no DATE column {column!r}; it is not divided into days")
            if set(fitted.column(column).unique().to_pylist()) - {day}:
                raise BadInput(f"replacing {day} in {self.name}: rows are of another day in {column}")
            self._apply(manifest, Change(self._places(manifest, column, [day]), fitted))

    def erase(self, column: str, values: Sequence[Any]) -> int:
        """Remove rows by a column's values; files that held them are gone from the disk when this returns."""
        with self._writing():
            manifest = self._manifest()
            if column not in read_schema(self.folder, manifest).names:
                raise BadInput(f"{self.name} has no column {column}")
            gone = self._places(manifest, column, values)
            self._apply(manifest, Change(gone, None), grace_s=0.0)
        return sum(map(len, gone.values()))

    def change(self, find: Callable[[], Change]) -> Change:
        """Apply the change that `find` computes while no other process may write to the table."""
        with self._writing():
            manifest = self._manifest()
            found = find()
            self._apply(manifest, found)
        return found

    def describe(self, partition: str, cluster: Sequence[str]) -> None:
        """Note what the table is partitioned and clustered by."""
        with self._writing():
            write_manifest(self.folder, replace(self._manifest(), partition=partition, cluster=tuple(cluster)))

    def drop(self) -> None:
        """Delete the table; its folder stays for the lock that others may wait for."""
        with self._writing():
            (self.folder / MANIFEST).unlink()
            sync(self.folder)
            for path in self.folder.glob("*.parquet*"):
                path.unlink()

    def close(self) -> None:
        """Release the memory of the key indexes."""
        for index in self._keys.values():
            index.close()
        self._keys.clear()

    def _manifest(self) -> Manifest:
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise BadInput(f"there is no table {self.name}; create it first")
        return manifest

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_folder(self.folder)
            with write_lock(self.folder):
                yield
        except OSError as error:
            what = f"cannot write {self.folder} ({error.strerror or error}); nothing of it was stored"
            raise BadInput(f"{what}; make room, make the folder writable, or set QUESTLINE_HOME") from error

    def _index(self, key: str, manifest: Manifest) -> KeyIndex:
        if key not in self._keys:
            self._keys[key] = KeyIndex(self.folder, key)
        self._keys[key].catch_up(manifest)
        return self._keys[key]

    def _places(self, manifest: Manifest, column: str, values: Sequence[Any]) -> dict[str, list[int]]:
        found = dict[str, list[int]]()
        for part in manifest.parts:
            file = pq.ParquetFile(self.folder / part.file)
            if column not in file.schema_arrow.names:
                continue
            held = file.read(columns=[column]).column(0)
            mask = pc.is_in(held, value_set=pa.array(values, held.type))
            if rows := pc.indices_nonzero(mask).to_pylist():
                found[part.file] = cast("list[int]", rows)
        return found

    def _apply(self, manifest: Manifest, change: Change, *, grace_s: float = GRACE_S) -> None:
        new = list[Part]()
        for file, rows in change.gone.items():
            held = pq.ParquetFile(self.folder / file).read()
            stays = np.ones(held.num_rows, dtype=bool)
            stays[rows] = False
            if stays.any():
                new.append(self._write_part(held.filter(pa.array(stays))))
        if change.new is not None and change.new.num_rows:
            new.append(self._write_part(change.new))
        old = frozenset(change.gone)
        if old or new:
            manifest = manifest.changed(old, new, removed=bool(old))
            write_manifest(self.folder, manifest)
        if old or grace_s < GRACE_S:
            sweep(self.folder, manifest, retired=old, grace_s=grace_s)
        self._tidy(manifest)

    def _tidy(self, manifest: Manifest) -> None:
        """Merge small files; what was asked for is stored already, and must not seem to have failed if this does."""
        chosen = choose_to_merge(manifest.parts)
        if not chosen:
            return
        old = frozenset(part.file for part in chosen)
        try:
            new = self._merge(chosen, read_schema(self.folder, manifest))
        except OSError as error:
            log.warning("files of a table not merged", table=self.name, reason=str(error))
            return
        manifest = manifest.merged(old, new)
        write_manifest(self.folder, manifest)
        for index in self._keys.values():
            index.merged(new.file)
        sweep(self.folder, manifest, retired=old)

    def _merge(self, parts: tuple[Part, ...], schema: pa.Schema) -> Part:
        with self._new_file("part") as (name, aside), pq.ParquetWriter(aside, schema, compression="zstd") as writer:
            for group in _row_groups(parts):
                rows = (pq.ParquetFile(self.folder / part.file).read() for part in group)
                writer.write_table(pa.concat_tables([schema.empty_table(), *rows], promote_options="default"))
        return Part(file=name, rows=sum(part.rows for part in parts))

    def _write_part(self, rows: pa.Table) -> Part:
        with self._new_file("part") as (name, aside):
            pq.write_table(
                rows,
                aside,
                compression="zstd" if rows.num_rows > SMALL_ROWS else "lz4",
                use_dictionary=rows.num_rows > SMALL_ROWS,
                row_group_size=ROW_GROUP_ROWS,
            )
        return Part(file=name, rows=rows.num_rows)

    def _write_schema(self, schema: pa.Schema) -> str:
        with self._new_file("schema") as (name, aside):
            pq.write_table(schema.empty_table(), aside)
        return name

    @contextmanager
    def _new_file(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Give a name and a place aside to write to; the file is on disk and has its name when the block has ended."""
        name = f"{kind}-{secrets.token_hex(8)}.parquet"
        aside = self.folder / f"{name}.aside"
        try:
            yield name, aside
            settle(aside, self.folder / name)
        finally:
            aside.unlink(missing_ok=True)


def read_schema(folder: Path, manifest: Manifest) -> pa.Schema:
    """Read the columns of a table."""
    return pq.read_schema(folder / manifest.schema)


def choose_to_merge(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Choose files of about one size, so that a row is rewritten only a few times in its life; few files stay."""
    small = [part for part in parts if part.rows < FULL_PART_ROWS]
    if len(small) <= MANY_PARTS:
        return ()
    tiers = dict[int, list[Part]]()
    for part in small:
        tiers.setdefault(int(math.log(max(part.rows, 1), 8)), []).append(part)
    chosen, rows = list[Part](), 0
    for part in max(tiers.values(), key=len):
        if rows < FULL_PART_ROWS:
            chosen.append(part)
            rows += part.rows
    return tuple(chosen)


def _row_groups(parts: tuple[Part, ...]) -> list[list[Part]]:
    groups, rows = [list[Part]()], 0
    for part in parts:
        if rows >= ROW_GROUP_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(part)
        rows += part.rows
    return groups
