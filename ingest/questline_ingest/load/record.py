"""What became of the calls of a run: when each was due, how long it took from there, and how it ended."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(slots=True)
class Record:
    """The calls of one process, or of several together."""

    due_s: array[float] = field(default_factory=lambda: array("d"))
    """From the start of the run, one a call that ended."""
    latency_s: array[float] = field(default_factory=lambda: array("d"))
    """From when the call was due, not from when it was sent: a call that waited behind others waited."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Of events: accepted, duplicate, rejected, refused."""
    why_rejected: str = ""
    """What the gateway said of the first event that it rejected."""
    predictions: Counter[str] = field(default_factory=Counter)
    """Of events, by source: fresh, stale, default."""
    failures: Counter[str] = field(default_factory=Counter)
    """Of calls without an answer, by the code of gRPC or HTTP."""
    events: int = 0
    """Sent, answered or not."""
    wall_s: float = 0.0
    """From the start until the last answer."""
    cpu_s: float = 0.0
    """Of the generator itself, user and system."""
    late_s: float = 0.0
    """The longest that a call left after it was due: the generator was too slow, or too many calls had no answer."""

    def ended(self, due_s: float, latency_s: float) -> None:
        """Note one call."""
        self.due_s.append(due_s)
        self.latency_s.append(latency_s)

    def add(self, other: Record) -> None:
        """Put the calls of another process beside these."""
        self.due_s.extend(other.due_s)
        self.latency_s.extend(other.latency_s)
        for mine, theirs in (
            (self.outcomes, other.outcomes),
            (self.predictions, other.predictions),
            (self.failures, other.failures),
        ):
            mine.update(theirs)
        self.why_rejected = self.why_rejected or other.why_rejected
        self.events += other.events
        self.cpu_s += other.cpu_s
        self.wall_s, self.late_s = max(self.wall_s, other.wall_s), max(self.late_s, other.late_s)

    @property
    def calls(self) -> int:
        """Calls that ended."""
        return len(self.latency_s)

    def percentiles_ms(self) -> dict[float, float]:
        """Tell percentiles of the latency of all calls, failed ones too, in milliseconds; 100 is the longest."""
        return percentiles_ms(self.latency_s)

    def by_second(self) -> list[tuple[int, int, float, float]]:
        """Tell second, calls due in it, and their p50 and p99 in milliseconds."""
        seconds: dict[int, list[float]] = {}
        for due_s, latency_s in zip(self.due_s, self.latency_s, strict=True):
            seconds.setdefault(int(due_s), []).append(latency_s)
        told = ((second, len(found), percentiles_ms(found)) for second, found in sorted(seconds.items()))
        return [(second, calls, at[50.0], at[99.0]) for second, calls, at in told]


def percentiles_ms(latencies_s: Sequence[float]) -> dict[float, float]:
    """Tell the `PERCENTILES` of some latencies by nearest rank, in milliseconds; 0 when there are none."""
    ordered = sorted(latencies_s) or [0.0]
    return {at: ordered[max(0, -int(-at * len(ordered) // 100) - 1)] * 1000 for at in PERCENTILES}
