"""Read a file of one JSON object a line in constant memory, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Never

from questline_core.errors import BadInput
from questline_ingest.imports.values import Unreadable

MAX_LINE_BYTES = 16 * 2**20
"""A longer line holds no event; it is kept only up to here."""
_NO_NDJSON = {
    ".csv": "is CSV; docs/importing.md shows how to make NDJSON of it",
    ".gz": "is compressed; gunzip it first",
}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line that is not blank."""

    number: int
    """From 1, as editors count."""
    data: bytes
    """Without the line's end; cut at `MAX_LINE_BYTES`."""
    end: int
    """Offset in the file, in bytes, of what follows."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be read.

    Raises:
        BadInput: it cannot be read, or its name says that it is no NDJSON.
    """
    if no := _NO_NDJSON.get(path.suffix.lower()):
        raise BadInput(f"{path} {no}")
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read {path} ({error.strerror}); name a file with one JSON object a line") from None
    with file:
        yield file


def lines(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines of a file that hold something."""
    number = end = 0
    while piece := file.readline(MAX_LINE_BYTES):
        number, end = number + 1, end + len(piece)
        data = piece.removeprefix(_BOM) if number == 1 else piece
        while not piece.endswith(b"\n") and (piece := file.readline(MAX_LINE_BYTES)):
            end += len(piece)
        if data.strip():
            yield Line(number=number, data=data.rstrip(b"\r\n"), end=end)


def parse(data: bytes) -> dict[str, Any]:
    """Read one line as a JSON object. Whole numbers of any length stay whole.

    Raises:
        Unreadable: it is no JSON object in UTF-8.
    """
    if len(data) >= MAX_LINE_BYTES:
        raise Unreadable(f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB; put one JSON object on each line")
    try:
        row = json.loads(data.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Unreadable(f"the line is not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise Unreadable(f"the line is not JSON: {error.msg} at character {error.colno}") from None
    except (ValueError, RecursionError):
        raise Unreadable("the line is nested too deeply, or holds a number too long, to be an event") from None
    if not isinstance(row, dict):
        raise Unreadable("the line is JSON, but no object; an event is {…} with a name for each value")
    return row


def _refuse_constant(name: str) -> Never:
    raise Unreadable(f'the line is not JSON: {name} must be written as text, "{name}"')
