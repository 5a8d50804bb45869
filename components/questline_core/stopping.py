"""Know that this process is told to stop: by SIGTERM, by SIGINT, or by the end of the process that started it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Set an event when it happens, until the block ends."""
    loop, stop, parent = asyncio.get_running_loop(), asyncio.Event(), parent_process()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    if parent:
        loop.add_reader(parent.sentinel, stop.set)
    try:
        yield stop
    finally:
        if parent:
            loop.remove_reader(parent.sentinel)
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
