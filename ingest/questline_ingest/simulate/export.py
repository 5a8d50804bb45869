"""Write events as lines of JSON in the shape of a GA4 export, with the envelope's columns beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from google.protobuf.message import Message

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event


def lines(events: Iterable[Event]) -> Iterator[bytes]:
    """Write each event as one line; integers keep all their 64 bits, columns that are not set are left out."""
    for event in events:
        yield orjson.dumps(as_row(event), option=orjson.OPT_APPEND_NEWLINE)


def as_row(message: Message) -> dict[str, Any]:
    """Turn a message into a row: columns are the names of the contract, records are nested rows."""
    row = dict[str, Any]()
    for field, value in message.ListFields():
        if field.message_type is None:
            row[field.name] = value
        elif isinstance(value, Message):
            row[field.name] = as_row(value)
        else:
            row[field.name] = [as_row(part) for part in value]
    return row


def write(events: Iterable[Event], path: Path) -> int:
    """Write a file of these lines and tell how many; the file appears whole or not at all.

    Raises:
        BadInput: the file cannot be written.
    """
    aside, written = path.with_name(f".{path.name}.{os.getpid()}"), 0
    try:
        with aside.open("wb") as file:
            for line in lines(events):
                file.write(line)
                written += 1
        aside.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path} ({error.strerror}); choose another --out") from None
    finally:
        aside.unlink(missing_ok=True)
    return written
