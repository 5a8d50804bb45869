"""Erase players from files: examples, reports and logs, in a folder or under a URL."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from questline_core.errors import BadInput, NotReady
from questline_core.places import reach

_PARQUET = b"PAR1"


@dataclass(frozen=True)
class FilesHolder:
    """All files under one root. Rows of Parquet files are left out; in text the id is overwritten by stars."""

    root: str
    """A folder or a URL that fsspec knows, such as gs://bucket/path."""
    appended: bool = False
    """Running processes append to these texts: they stay the files that they are, with what is written meanwhile."""

    @property
    def name(self) -> str:
        """The root."""
        return f"files {self.root}"

    @cached_property
    def _place(self) -> tuple[Any, str]:
        return reach(self.root)

    def find(self, player: str) -> int:
        """Count files that hold the player."""
        return sum(1 for _ in self._holding(player))

    def erase(self, player: str) -> int:
        """Clean the files that hold the player, one after the other, each whole or not at all."""
        cleaned = 0
        for path, content in self._holding(player):
            self._put(path, content, without_player(path, content, player))
            cleaned += 1
        return cleaned

    def _holding(self, player: str) -> Iterator[tuple[str, bytes]]:
        """Give the files with the player; one that cannot be looked at keeps nobody from the others, and is told then.

        Raises:
            NotReady: names the files that could not be searched.
        """
        filesystem, root = self._place
        failures = list[str]()
        for path in filesystem.find(root) if filesystem.exists(root) else ():
            try:
                content = filesystem.cat_file(path)
                held = holds_player(content, player)
            except FileNotFoundError:
                continue  # it was removed since the folder was read
            except (OSError, pa.ArrowException) as error:
                failures.append(f"{path} cannot be searched ({error})")
                continue
            if held:
                yield path, content
        if failures:
            raise NotReady(f"{'; '.join(failures)}; try again, or delete what is damaged")

    def _put(self, path: str, content: bytes, cleaned: bytes) -> None:
        filesystem, _ = self._place
        if self.appended and len(cleaned) == len(content):  # text keeps its length, and what was appended since it
            with filesystem.open(path, "r+b") as file:
                file.write(cleaned)
            return
        aside = f"{path}.aside"
        filesystem.pipe_file(aside, cleaned)
        filesystem.mv(aside, path)


def holds_player(content: bytes, player: str) -> bool:
    """Tell whether a file's content names a player."""
    if content.startswith(_PARQUET):
        rows = _rows(content)
        return any(pc.any(_is_player(rows, name, player)).as_py() for name in _texts(rows))
    return bool(_as_word(player).search(content))


def without_player(path: str, content: bytes, player: str) -> bytes:
    """Give a file's content without the player.

    Raises:
        BadInput: the content is neither Parquet nor text.
    """
    if content.startswith(_PARQUET):
        rows = _rows(content)
        for name in _texts(rows):
            rows = rows.filter(pc.invert(_is_player(rows, name, player)))
        sink = io.BytesIO()
        pq.write_table(rows, sink)
        return sink.getvalue()
    if b"\0" in content:
        raise BadInput(f"{path} holds the player and is neither Parquet nor text; delete it, or make it anew")
    return _as_word(player).sub(lambda found: b"*" * len(found.group()), content)


def _rows(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def _texts(rows: pa.Table) -> list[str]:
    return [
        field.name for field in rows.schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]


def _is_player(rows: pa.Table, column: str, player: str) -> Any:
    return pc.is_in(rows[column], value_set=pa.array([player], rows.schema.field(column).type))


def _as_word(player: str) -> re.Pattern[bytes]:
    """Find an id, plain or as JSON writes it, but not as a part of a longer one."""
    forms = {player.encode(), json.dumps(player)[1:-1].encode()}
    return re.compile(rb"(?<![\w-])(?:" + b"|".join(map(re.escape, sorted(forms))) + rb")(?![\w-])")
