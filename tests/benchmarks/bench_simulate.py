"""How fast players are generated: CPU time of one process, from nothing to serialized events in order of arrival.

The least of some rounds counts, because a busy machine only adds.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import date

from questline_core.testing.bars import at_least
from questline_ingest.simulate import World, arrivals, simulate

ROUNDS = 3
WORLD = World(start=date(2026, 3, 2), players=3_000, days=28, seed=1)
LONGER = World(start=date(2026, 3, 2), players=3_000, days=84, seed=1)


def main() -> None:
    """Print events per CPU second, CPU microseconds an event, and how memory grows with a history thrice as long."""
    serialized = _measure("serialized events", lambda: sum(1 for _ in arrivals(WORLD)))
    memory = _peak_mb()
    print(f"bar   simulator: {at_least(1e6 / serialized, 100_000, 'events a CPU second')}")
    parsed = _measure("as Event messages", lambda: sum(1 for _ in simulate(WORLD)))
    print(f"parsing costs {parsed - serialized:.2f} µs an event more")
    _measure("84 days instead of 28", lambda: sum(1 for _ in arrivals(LONGER)))
    print(f"peak memory {memory:.0f} MB after 28 days, {_peak_mb():.0f} MB after 84")


def _measure(what: str, run: Callable[[], int]) -> float:
    events, spent = 0, float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        events = run()
        spent = min(spent, time.process_time() - began)
    print(f"{what}: {events:,} events, {events / spent:,.0f} a CPU second, {spent / events * 1e6:.2f} µs CPU an event")
    return spent / events * 1e6


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
