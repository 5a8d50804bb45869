"""When each call of a run is due: a constant rate, or one that rises or falls evenly; known before the run starts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt

from questline_core.errors import BadInput

MAX_DURATION_S = 3600.0
MAX_CALLS = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many calls a second, for how long; bounded in both."""

    calls_per_s: float
    duration_s: float
    ramp_to_per_s: float | None = None
    """Rate at the end; None stays at the first."""
    max_calls: int = MAX_CALLS

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            BadInput: a number is out of range, or the run would have too many calls.
        """
        if not self.calls_per_s > 0 or not self._last_per_s > 0:
            raise BadInput("a rate must be above 0 calls a second")
        if not 0 < self.duration_s <= MAX_DURATION_S:
            raise BadInput(f"a run lasts above 0 and at most {MAX_DURATION_S:g} s; it was given {self.duration_s:g} s")
        if not 0 < self.max_calls <= MAX_CALLS:
            raise BadInput(f"a run has 1 to {MAX_CALLS:,} calls; --max-calls was {self.max_calls:,}")

    @property
    def _last_per_s(self) -> float:
        return self.calls_per_s if self.ramp_to_per_s is None else self.ramp_to_per_s

    @property
    def calls(self) -> int:
        """How many calls the run has."""
        return max(1, min(self.max_calls, int((self.calls_per_s + self._last_per_s) / 2 * self.duration_s)))

    def due_s(self) -> Iterator[float]:
        """Yield when each call is due, in seconds from the start."""
        first, gain = self.calls_per_s, (self._last_per_s - self.calls_per_s) / self.duration_s
        for number in range(self.calls):
            # n calls are due after t with first * t + gain * t² / 2 = n, in the form that is exact without a ramp.
            yield 2 * number / (first + sqrt(max(0.0, first * first + 2 * gain * number)))

    def share(self, processes: int) -> Plan:
        """Give the plan of one of several processes that run it together."""
        last = None if self.ramp_to_per_s is None else self.ramp_to_per_s / processes
        calls = max(1, self.max_calls // processes)
        return replace(self, calls_per_s=self.calls_per_s / processes, ramp_to_per_s=last, max_calls=calls)
