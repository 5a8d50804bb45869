"""Turn calls away early while too many bytes are being worked on, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from questline_core.errors import QuestlineError


class Overloaded(QuestlineError):
    """Raised when a call is turned away before anything of it was read."""

    def __init__(self, inflight_bytes: int, *, retry_after_s: float) -> None:
        super().__init__(
            f"the gateway is working on {inflight_bytes:,} bytes already; send this again in {retry_after_s:g} s"
        )
        self.inflight_bytes, self.retry_after_s = inflight_bytes, retry_after_s


class Admission:
    """Counts the bytes of the calls that are under way."""

    def __init__(self, max_bytes: int, *, retry_after_s: float = 0.2) -> None:
        self._max_bytes, self._retry_after_s = max_bytes, retry_after_s
        self.inflight_bytes = 0

    @contextmanager
    def admit(self, size: int) -> Iterator[None]:
        """Count a call of this size in, bytes, until the block ends.

        Raises:
            Overloaded: it does not fit beside the others.
        """
        if self.inflight_bytes + size > self._max_bytes:
            raise Overloaded(self.inflight_bytes, retry_after_s=self._retry_after_s)
        self.inflight_bytes += size
        try:
            yield
        finally:
            self.inflight_bytes -= size
