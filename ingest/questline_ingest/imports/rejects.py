"""Keep the lines of an import that could not become events, so that nothing is lost and each can be mended."""

from __future__ import annotations

import base64
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Self

from questline_core.errors import BadInput
from questline_ingest.imports.lines import Line
from questline_ingest.imports.values import Unreadable


class UnreadableLines:
    """A file of NDJSON with line number, path, reason and the line itself; made when the first line comes."""

    def __init__(self, source: Path) -> None:
        """Choose the file: beside the source, or in the working folder when that one cannot be written."""
        beside = source.parent if os.access(source.parent, os.W_OK) else Path.cwd()
        self.path = beside / f"{source.name}.unreadable.ndjson"
        self.count = 0
        self.first: str = ""
        """Number and reason of the first line, for a person."""
        self._closing = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Begin; a file of an earlier import stays until there is a line to keep."""
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def keep(self, line: Line, error: Unreadable) -> None:
        """Write down one line and why it was not read.

        Raises:
            BadInput: the file cannot be written.
        """
        self.count += 1
        self.first = self.first or f"line {line.number}: {error}"
        record = {"line": line.number, "field": error.path, "reason": str(error), **_payload(line.data)}
        try:
            if self._file is None:
                self._file = self._closing.enter_context(self.path.open("wb"))
            self._file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
        except OSError as failure:
            raise BadInput(
                f"line {line.number} is unreadable and cannot be kept in {self.path} ({failure.strerror}); "
                "make that folder writable and import again, what was sent stays one row an event"
            ) from None


def _payload(data: bytes) -> dict[str, str]:
    try:
        return {"payload": data.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(data).decode()}
