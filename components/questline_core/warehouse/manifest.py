"""The state of one embedded table: a small JSON file that names the Parquet files of the table, replaced in one step.

A reader takes no lock: it reads the manifest and then exactly the files that it names. A file is complete and on
disk before a manifest names it, and it stays for `GRACE_S` after no manifest names it any more, for readers that began
before.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from questline_core.durable import put_in_place
from questline_core.errors import BadInput

FORMAT = 1
MANIFEST = "_manifest.json"
GRACE_S = 600.0
"""Seconds that a file lives on after the manifest stopped naming it: the longest query that is safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One Parquet file of a table."""

    file: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a table holds."""

    table_id: str
    """Random, chosen when the table was made."""
    version: int
    """Counts the changes of the content; merging files is none."""
    epoch: int
    """Counts the replacements of the whole content: within one epoch, rows are only added."""
    schema: str
    """A Parquet file without rows that keeps the table's columns."""
    parts: tuple[Part, ...]
    partition: str = ""
    """What the table is partitioned by, as GoogleSQL text; empty when it is not."""
    cluster: tuple[str, ...] = ()
    """The columns of CLUSTER BY."""
    grown: bool = False
    """Some files may lack columns that were added later, which are NULL in their rows."""

    @classmethod
    def new(cls, schema: str) -> Self:
        """Describe a table that has just been made."""
        return cls(table_id=secrets.token_hex(4), version=0, epoch=0, schema=schema, parts=())

    @property
    def rows(self) -> int:
        """Count the rows of the table."""
        return sum(part.rows for part in self.parts)

    @property
    def content_version(self) -> str:
        """Name the content: another name for another content, also after the folder was deleted and made again."""
        return f"{self.table_id}.{self.version}"

    @property
    def files(self) -> tuple[str, ...]:
        """Name the files that a reader needs; of a grown table the first has all columns."""
        files = tuple(part.file for part in self.parts)
        return (self.schema, *files) if self.grown or not files else files

    def plus(self, part: Part) -> Self:
        """Describe the table after an append."""
        return replace(self, version=self.version + 1, parts=(*self.parts, part))

    def merged(self, old: frozenset[str], new: Part) -> Self:
        """Describe the table after some of its files were merged into one; the content is the same."""
        return replace(self, parts=(new, *(part for part in self.parts if part.file not in old)))

    def changed(self, old: frozenset[str], new: Sequence[Part], *, removed: bool) -> Self:
        """Describe the table after rows of the old files were changed or removed; the other files stay."""
        parts = (*(part for part in self.parts if part.file not in old), *new)
        return replace(self, version=self.version + 1, epoch=self.epoch + removed, parts=parts)

    def with_columns(self, schema: str) -> Self:
        """Describe the table after columns were added; the rows are the same."""
        return replace(self, schema=schema, grown=bool(self.parts))

    def replaced(self, schema: str, part: Part | None) -> Self:
        """Describe the table after all of its content was replaced."""
        parts = () if part is None else (part,)
        return replace(self, version=self.version + 1, epoch=self.epoch + 1, schema=schema, parts=parts, grown=False)


def read_manifest(folder: Path) -> Manifest | None:
    """Read a table's state; None when there is no such table.

    Raises:
        BadInput: the manifest was written by a newer Questline, or is damaged.
    """
    try:
        facts = json.loads((folder / MANIFEST).read_bytes())
        if facts["format"] != FORMAT:
            raise BadInput(f"{folder} has format {facts['format']}, this Questline reads {FORMAT}; install a newer one")
        return Manifest(
            table_id=facts["table_id"],
            version=facts["version"],
            epoch=facts["epoch"],
            schema=facts["schema"],
            parts=tuple(Part(file=part["file"], rows=part["rows"]) for part in facts["parts"]),
            partition=facts.get("partition", ""),
            cluster=tuple(facts.get("cluster", ())),
            grown=facts.get("grown", False),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder / MANIFEST} is damaged ({error!r}); restore it from a copy of the folder") from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make this the table's state: durable on return, and never seen half-written."""
    facts = {
        "format": FORMAT,
        "table_id": manifest.table_id,
        "version": manifest.version,
        "epoch": manifest.epoch,
        "updated": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "rows": manifest.rows,
        "schema": manifest.schema,
        "partition": manifest.partition,
        "cluster": manifest.cluster,
        "grown": manifest.grown,
        "parts": [{"file": part.file, "rows": part.rows} for part in manifest.parts],
    }
    put_in_place(folder / MANIFEST, json.dumps(facts, indent=1).encode())


def sweep(folder: Path, manifest: Manifest, *, retired: frozenset[str] = frozenset(), grace_s: float = GRACE_S) -> None:
    """Delete files that no manifest has named for `grace_s`; the clock of the `retired` ones starts now."""
    named = {manifest.schema, *(part.file for part in manifest.parts)}
    for file in retired:
        os.utime(folder / file)
    for path in folder.glob("*.parquet*"):
        if path.name not in named and time.time() - path.stat().st_mtime >= grace_s:
            path.unlink(missing_ok=True)
