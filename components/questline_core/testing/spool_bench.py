"""Spools in a folder with a clock that tests move, messages to fill them, and a disk that is soon full."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from questline_core.broker.port import EVENT, Message
from questline_core.broker.spool import Spool, open_spool


class SpoolBench:
    """A spool in a folder, opened as often as a test likes."""

    short_lease_s = 30.0

    def __init__(self, folder: Path) -> None:
        """Take a folder, which need not be there."""
        self.folder, self.now = folder, 1_000_000.0
        self._opened: list[Spool] = []

    @property
    def address(self) -> str:
        """The spool's address."""
        return f"spool:{self.folder}"

    def open(self, **options: Any) -> Spool:
        """Open the spool once more; `close` closes it."""
        spool = open_spool(str(self.folder), clock=lambda: self.now, **options)
        self._opened.append(spool)
        return spool

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds

    def close(self) -> None:
        """Close all that was opened."""
        for spool in self._opened:
            spool.close()


def payloads(count: int, size: int) -> list[Message]:
    """Make messages of random bytes, which no file system makes smaller."""
    return [Message(data=os.urandom(size), attributes={"kind": EVENT, "id": f"p{i}"}) for i in range(count)]


@contextmanager
def mounted_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a disk of 24 MiB at a new folder, for the block; None where that is not allowed."""
    folder.mkdir()
    command = [shutil.which("mount") or "false", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
