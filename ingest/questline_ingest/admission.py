"""Turn calls away early, so that memory and waits are bounded: when too much is under way, or storing is behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from questline_core.errors import QuestlineError

_SOON_S, _LATER_S = 0.2, 1.0


class Overloaded(QuestlineError):
    """Raised when a call is turned away before anything of it was read."""

    def __init__(self, why: str, *, retry_after_s: float) -> None:
        super().__init__(f"the gateway {why}; send this again in {retry_after_s:g} s")
        self.retry_after_s = retry_after_s


class Admission:
    """Counts the bytes of the calls that are under way."""

    def __init__(self, max_bytes: int, *, max_wait_s: float, behind_s: Callable[[], float]) -> None:
        """Turn away beyond `max_bytes`, and while what `behind_s` tells is more than `max_wait_s`."""
        self._max_bytes, self._max_wait_s, self._behind_s = max_bytes, max_wait_s, behind_s
        self.inflight_bytes = 0
        self.turned_away = 0

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Count a call of this size in, bytes, until the block ends.

        Raises:
            Overloaded: as `enter`.
        """
        self.enter(size)
        try:
            yield
        finally:
            self.leave(size)

    def enter(self, size: int) -> None:
        """Count a call of this size in, bytes; `leave` must follow.

        Raises:
            Overloaded: it does not fit beside the others, or they wait too long already.
        """
        if self.inflight_bytes + size > self._max_bytes:
            self.turned_away += 1
            why = f"is working on {self.inflight_bytes:,} bytes already"
            raise Overloaded(why, retry_after_s=_SOON_S)
        if self._behind_s() > self._max_wait_s:
            self.turned_away += 1
            raise Overloaded("is behind with storing what came before", retry_after_s=_LATER_S)
        self.inflight_bytes += size

    def leave(self, size: int) -> None:
        """End what `enter` began."""
        self.inflight_bytes -= size
