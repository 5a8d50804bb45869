"""Follow what a model host says of a model's revisions, and keep the last good picture while it says nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from questline_core.errors import QuestlineError
from questline_core.models.port import ModelHost
from questline_ingest.revisions import Revisions, asked_now

log = structlog.get_logger()

ASK_AGAIN_S = 0.5
"""After the host did not answer."""


@asynccontextmanager
async def following(host: ModelHost, model: str, use: Callable[[Revisions], None]) -> AsyncIterator[None]:
    """Hand over the revisions that are asked, now and at each change, until the block ends.

    What is handed over is never empty: while no revision answers, those that did are asked on, because they may be back
    before the host knows it.
    """
    watcher = _Watcher(host, model, asyncio.get_running_loop(), use)
    # Not waited for at the end: it may be listening to a host that says nothing for seconds.
    threading.Thread(target=watcher.run, name=f"revisions-of-{model}", daemon=True).start()
    try:
        yield
    finally:
        watcher.ended.set()


class _Watcher:
    def __init__(
        self, host: ModelHost, model: str, loop: asyncio.AbstractEventLoop, use: Callable[[Revisions], None]
    ) -> None:
        self._host, self._model, self._loop, self._use = host, model, loop, use
        self._now, self._trouble = Revisions(()), ""
        self.ended = threading.Event()

    def run(self) -> None:
        """Follow until the end; whatever goes wrong is told once and tried again."""
        while not self.ended.is_set():
            try:
                self._follow()
            except QuestlineError as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001 - nobody else would start this thread again
                self._note(repr(error))
            time.sleep(ASK_AGAIN_S)

    def _follow(self) -> None:
        for status in self._host.follow(self._model):
            if self.ended.is_set():
                return
            found = asked_now(status)
            self._note("" if found.all else f"no revision of {self._model} answers")
            if found.all and found != self._now:
                self._now = found
                self._loop.call_soon_threadsafe(self._use, found)
                log.info("revisions asked", model=self._model, shares={one.version: one.share for one in found.all})

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            log.warning("revisions not followed", model=self._model, reason=trouble)
        self._trouble = trouble
