"""Keep the players' running features up with the rows, beside them: rows never wait for features."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

import structlog

REST = 4.0
"""After a refresh its thread rests this many times as long as the refresh took: it reads whole histories of players."""
REST_AFTER_FAILURE_S = 5.0
LONGEST_END_S = 15.0
"""A refresh that takes longer than this when the process ends is abandoned."""

log = structlog.get_logger()


class FollowedFeatures:
    """A thread that refreshes all players at first, then those whose rows were written.

    What fails is logged and tried again: features hold nothing that the rows do not.
    """

    def __init__(self, refresh: Callable[[Collection[str] | None], int]) -> None:
        """Prepare the thread; `refresh` brings these players (None = all) up to date."""
        self._refresh = refresh
        self._waiting: set[str] | None = None  # None: all players
        self._news, self._ending = threading.Condition(), False
        self._thread = threading.Thread(target=self._follow, name="features", daemon=True)

    def note(self, players: Collection[str]) -> None:
        """Say that rows of these players were written."""
        with self._news:
            if self._waiting is not None:
                self._waiting.update(players)
                self._news.notify()

    def finish(self) -> None:
        """Refresh what waits, once more, and end."""
        with self._news:
            self._ending = True
            self._news.notify()
        self._thread.join()
        if self._waiting is None or self._waiting:
            self._refresh_waiting()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._news:
            self._ending = True
            self._news.notify()
        self._thread.join(LONGEST_END_S)

    def _follow(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._ending or self._waiting is None or self._waiting)
                if self._ending:
                    return
            rest_s = self._refresh_waiting()
            with self._news:
                self._news.wait_for(lambda: self._ending, rest_s)

    def _refresh_waiting(self) -> float:
        """Refresh what waits now, and return how long to rest then, in seconds."""
        with self._news:
            taken, self._waiting = self._waiting, set()
        started = time.monotonic()
        try:
            self._refresh(taken)
        except Exception as error:  # noqa: BLE001 - rows go on without features
            log.warning("features not refreshed", reason=f"{type(error).__name__}: {error}")
            with self._news:
                self._waiting = None if taken is None else taken | self._waiting
            return REST_AFTER_FAILURE_S
        return REST * (time.monotonic() - started)
