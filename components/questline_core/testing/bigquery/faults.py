"""Failures that a test orders from the stand-in: each happens once, at the next call of its kind."""

from __future__ import annotations

import threading
from collections import Counter
from enum import StrEnum


class Fault(StrEnum):
    """What can go wrong."""

    INSERT_REFUSED = "jobs.insert answers 503 and starts nothing"
    INSERT_ANSWER_LOST = "jobs.insert starts the job and answers 503"
    RATE_LIMIT = "the next request answers 403 rateLimitExceeded"
    JOB_BACKEND_ERROR = "a job fails with backendError"
    JOB_CONFLICT = "a transaction is cancelled because another one changed the table"
    QUOTA = "a job is refused with quotaExceeded"
    FORBIDDEN = "the next request answers 403 accessDenied"
    APPEND_REFUSED = "an append breaks off with UNAVAILABLE before a row is written"
    APPEND_ANSWER_LOST = "an append writes its rows and breaks off with UNAVAILABLE"
    COMMIT_ANSWER_LOST = "a commit happens and answers UNAVAILABLE"


class Faults:
    """The faults that wait to happen, and a count of those that did."""

    def __init__(self) -> None:
        self._waiting, self.happened = Counter[Fault](), Counter[Fault]()
        self._lock = threading.Lock()

    def order(self, fault: Fault, times: int = 1) -> None:
        """Let a fault happen at the next calls that it concerns."""
        with self._lock:
            self._waiting[fault] += times

    def strike(self, fault: Fault) -> bool:
        """Tell whether the fault happens now."""
        with self._lock:
            if self._waiting[fault] == 0:
                return False
            self._waiting[fault] -= 1
            self.happened[fault] += 1
            return True
