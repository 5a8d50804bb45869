"""How far this machine's clock is from the gateway's, measured on the calls that are made anyway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from questline_ingest.status import SERVER_TIME

_GOOD_FOR_S = 600.0
"""A measure is replaced by any newer one after this time, before that only by a sharper one."""


class Clock:
    """This machine's clock, and what is known of the gateway's; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._measured_at, self._doubt_us = 0.0, 0
        self._skew_us: int | None = None

    @property
    def skew_s(self) -> float | None:
        """Gateway's time minus ours, in seconds; None before the first answer."""
        return None if self._skew_us is None else self._skew_us / 1e6

    def now_us(self) -> int:
        """Tell the time by the gateway's clock, microseconds since 1970 UTC; by ours before the first answer."""
        return time.time_ns() // 1000 + (self._skew_us or 0)

    def learn(self, metadata: Iterable[Any], *, sent_us: int, received_us: int) -> None:
        """Take the gateway's time out of the metadata of a call, if it is there.

        The gateway looked at its clock between our two looks at ours, so the middle is wrong by half the way at most.

        Args:
            metadata: initial or trailing metadata of the call.
            sent_us: our clock before the call, microseconds since 1970 UTC.
            received_us: our clock after it.
        """
        told = next((item.value for item in metadata if item.key == SERVER_TIME), "")
        if not told.isdecimal():
            return
        doubt_us, now = (received_us - sent_us) // 2, time.monotonic()
        with self._lock:
            old = now - self._measured_at > _GOOD_FOR_S
            if self._skew_us is None or old or doubt_us <= self._doubt_us:
                self._skew_us = int(told) - (sent_us + received_us) // 2
                self._measured_at, self._doubt_us = now, doubt_us
