"""Keep what is derived of players up with their rows, beside them: rows never wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Self

import structlog

REST_AFTER_FAILURE_S = 5.0
LONGEST_END_S = 15.0
"""A refresh that takes longer than this when the process ends is abandoned."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How long the thread rests after a refresh, which reads whole histories of players."""

    times: float
    """As many times as long as the refresh took."""
    least_s: float = 0.0


class Following:
    """A thread that refreshes all players at first, then those whose rows were written.

    What fails is logged and tried again: what is derived holds nothing that the rows do not.
    """

    def __init__(self, what: str, refresh: Callable[[Collection[str] | None], object], *, rest: Rest) -> None:
        """Prepare the thread; `refresh` brings `what` is derived of these players (None = all) up to date."""
        self._what, self._refresh, self._rest = what, refresh, rest
        self._waiting: set[str] | None = None  # None: all players
        self._news, self._ending = threading.Condition(), False
        self._thread = threading.Thread(target=self._follow, name=what, daemon=True)

    def note(self, players: Collection[str]) -> None:
        """Say that rows of these players were written."""
        with self._news:
            if self._waiting is not None:
                self._waiting.update(players)
                self._news.notify()

    def finish(self) -> None:
        """Refresh what waits, once more, and end."""
        self._end()
        self._thread.join()
        if self._waiting is None or self._waiting:
            self._refresh_waiting()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._thread.join(LONGEST_END_S)

    def _end(self) -> None:
        with self._news:
            self._ending = True
            self._news.notify()

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
        except Exception as error:  # noqa: BLE001 - rows go on without it
            log.warning("players not refreshed", of=self._what, reason=f"{type(error).__name__}: {error}")
            with self._news:
                self._waiting = None if taken is None else taken | self._waiting
            return REST_AFTER_FAILURE_S
        return max(self._rest.least_s, self._rest.times * (time.monotonic() - started))
