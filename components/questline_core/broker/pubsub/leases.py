"""Remember what this consumer holds, and until when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence


class Leases:
    """Ack ids and the end of their leases, in seconds of a monotonic clock; several threads may use it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with none."""
        self._clock = clock
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, ack_ids: Collection[str], *, lease_s: float) -> None:
        """Hold these from now on."""
        end = self._clock() + lease_s
        with self._lock:
            self._ends.update(dict.fromkeys(ack_ids, end))

    def finish(self, ack_ids: Sequence[str]) -> list[str]:
        """Hold these no longer; gives those that were held, each once."""
        now = self._clock()
        with self._lock:
            ends = {ack_id: self._ends.pop(ack_id, 0.0) for ack_id in dict.fromkeys(ack_ids)}
        return [ack_id for ack_id, end in ends.items() if end > now]

    def running(self) -> dict[str, float]:
        """Tell how many seconds each lease still has; those that have ended are forgotten."""
        now = self._clock()
        with self._lock:
            self._ends = {ack_id: end for ack_id, end in self._ends.items() if end > now}
            return {ack_id: end - now for ack_id, end in self._ends.items()}
