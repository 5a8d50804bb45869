"""Hold back Python's search for reference cycles while many objects are made that all stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Make objects without a search for cycles among them, which finds nothing and takes longer than the making.

    The search goes on afterwards. What is inside should end soon: cycles that it drops stay in memory until then.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
