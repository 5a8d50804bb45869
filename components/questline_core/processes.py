"""What a long-running process tells the others: one JSON file with its pid, addresses and counters while ready."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from questline_core.errors import BadInput


def write_atomically(path: Path, text: str) -> None:
    """Put a small file in place in one step, so that a reader sees the old text or the new one.

    Raises:
        BadInput: the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise BadInput(
            f"cannot write {path} ({error.strerror}); make the folder writable or set QUESTLINE_HOME"
        ) from None


@dataclass(slots=True)
class ReadyFile:
    """The file of one process; it exists while the process is ready."""

    path: Path
    facts: dict[str, Any]

    def update(self, **facts: Any) -> None:
        """Write new counters or addresses beside the ones that stay."""
        self.facts |= facts
        write_atomically(self.path, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), **self.facts}))


@contextmanager
def announced(run: Path, process: str, **facts: Any) -> Iterator[ReadyFile]:
    """Say that this process is ready until the block ends, with the addresses it listens on.

    Args:
        run: the folder `Home.run`.
        process: gateway, stream or serving.
        facts: addresses and counters, anything that JSON can hold.
    """
    ready = ReadyFile(run / f"{process}.json", {})
    ready.update(**facts)
    try:
        yield ready
    finally:
        ready.path.unlink(missing_ok=True)


def read_ready(run: Path, process: str) -> Mapping[str, Any] | None:
    """Read what a process announced; None when it announced nothing or has died since."""
    facts = _announcement(run, process)
    facts.pop("host", None)
    return facts if facts and psutil.pid_exists(facts["pid"]) else None


def look_around(run: Path, process: str) -> tuple[Mapping[str, Any] | None, str]:
    """Look for a process that nobody here started: give what it announced, or the other host on which it did.

    A pod sees the announcements of its neighbours on a volume, and not whether they still run.
    """
    facts = _announcement(run, process)
    host = facts.pop("host", "")
    if host != socket.gethostname():
        return None, host
    try:
        reused = psutil.Process(facts["pid"]).create_time() > (run / f"{process}.json").stat().st_mtime
    except (psutil.NoSuchProcess, FileNotFoundError):
        return None, ""
    return None if reused else facts, ""


def _announcement(run: Path, process: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((run / f"{process}.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return facts
