"""One writer of a table at a time, over all processes: a lock that the kernel releases when its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from questline_core.errors import NotReady
from questline_core.locks import locked

LOCK = "_lock"
PATIENCE_S = 30.0
"""How long a writer waits for another one."""


@contextmanager
def write_lock(folder: Path, *, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold the table's lock during the block.

    Raises:
        NotReady: another process wrote to the table for all of `patience_s`.
    """
    with (folder / LOCK).open("a+") as file:
        _take(file, folder, patience_s)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _take(file: IO[str], folder: Path, patience_s: float) -> None:
    give_up = time.monotonic() + patience_s
    while not locked(file):
        if time.monotonic() > give_up:
            raise NotReady(_busy(file, folder, patience_s))
        time.sleep(0.02)


def _busy(file: IO[str], folder: Path, patience_s: float) -> str:
    file.seek(0)
    table = f"{folder.parent.name}.{folder.name}"
    holder = file.read() or "unknown"
    return f"process {holder} has been writing to {table} for {patience_s:g} s; wait until it is done, or end it"
