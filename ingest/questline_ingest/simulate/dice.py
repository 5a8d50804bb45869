"""Chance, seeded: the standard generator with the two throws that the simulator makes most."""

from __future__ import annotations

from math import log
from random import Random


class Dice(Random):
    """A source of chance that gives the same throws for the same seed."""

    def happens(self, share: float) -> bool:
        """Say yes in this share of throws."""
        return self.random() < share

    def about(self, median: float, spread: float) -> float:
        """Throw a positive number, log-normal around `median`; `spread` is the standard deviation of its logarithm."""
        return self.lognormvariate(log(median), spread)
