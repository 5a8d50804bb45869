"""Let one process have a file at a time, by a lock that the kernel releases when its holder dies."""

from __future__ import annotations

import fcntl
from typing import IO


def locked(file: IO[str]) -> bool:
    """Lock an open file until it is closed, if nobody else has it; tells whether it is locked now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
