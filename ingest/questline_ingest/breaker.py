"""Stop asking a model that gives no answers, and try it again with one question at a time."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 5
"""A model that failed this often in a row is left alone."""
FIRST_REST_S, LONGEST_REST_S = 0.5, 8.0
"""How long it is left alone: doubled with each trial that fails."""


class Breaker:
    """Without it a hung model would cost every call its whole wait, for as long as the model hangs.

    Attributes:
        rest_s: how long the model is left alone, or would be, in seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self.rest_s = FIRST_REST_S
        self._closed_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the model is left alone, but for trials."""
        return self._failures >= FAILURES

    def lets_through(self) -> bool:
        """Tell whether the model may be asked now; of those who ask after a rest, the first is let through."""
        if not self.is_open:
            return True
        now = self._clock()
        if now < self._closed_until:
            return False
        self._closed_until = now + self.rest_s
        return True

    def succeeded(self) -> None:
        """Note an answer: from now on the model is asked as usual."""
        self._failures, self.rest_s = 0, FIRST_REST_S

    def failed(self) -> None:
        """Note that there was no answer."""
        if self.is_open:
            self.rest_s = min(2 * self.rest_s, LONGEST_REST_S)
        self._failures += 1
        if self.is_open:
            self._closed_until = self._clock() + self.rest_s
