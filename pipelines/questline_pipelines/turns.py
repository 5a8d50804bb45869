"""One run of a pipeline at a time on this machine: a second one would replace a model it was not judged against."""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from questline_core.durable import make_folder
from questline_core.errors import BadInput, NotReady
from questline_core.locks import locked


@contextmanager
def turn(folder: Path, pipeline: str, *, waits: Callable[[str], None] | None = None) -> Iterator[str]:
    """Keep other runs of the pipeline from beginning while the block runs; yields the name for the run in it.

    The system ends a turn with the process that has it, however that dies.

    Args:
        folder: `Home.pipelines`.
        pipeline: its name; the run's name begins with it.
        waits: told of the run that has the turn, and then waited for; None: nobody waits.

    Raises:
        NotReady: another run has the turn, and nobody waits.
        BadInput: the folder cannot be written.
    """
    with _opened(folder, pipeline) as file:
        if not locked(file):
            other = _name(folder, pipeline)
            if waits is None:
                raise NotReady(f"{other} goes on; wait for its end")
            waits(other)
            fcntl.flock(file, fcntl.LOCK_EX)
        name = f"{pipeline}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        file.truncate(0)
        file.write(name)
        file.flush()
        yield name


def going_on(folder: Path, pipeline: str) -> str:
    """Name the run that has the turn, whoever started it; empty when none has."""
    try:
        file = _file(folder, pipeline).open()
    except FileNotFoundError:
        return ""
    with file:
        return "" if locked(file) else _name(folder, pipeline)


def _file(folder: Path, pipeline: str) -> Path:
    return folder / f"{pipeline}.turn"


def _opened(folder: Path, pipeline: str) -> IO[str]:
    try:
        make_folder(folder)
        return _file(folder, pipeline).open("a+")
    except OSError as error:
        raise BadInput(f"cannot write {folder} ({error.strerror}); set QUESTLINE_HOME to a folder of yours") from None


def _name(folder: Path, pipeline: str) -> str:
    return _file(folder, pipeline).read_text() or f"a run of {pipeline}"
