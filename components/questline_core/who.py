"""Who does something, for records of it."""

from __future__ import annotations

import os
from getpass import getuser


def who_asks() -> str:
    """Name the user of this process; in a container whose user has no name, the user's number."""
    try:
        return getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"user {os.getuid()}"
