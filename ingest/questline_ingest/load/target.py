"""What a load can be aimed at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the answer of one call said of its events."""

    outcomes: Counter[str]
    predictions: Counter[str]
    why_rejected: str = ""
    """What was said of the first event that was rejected; empty when none was."""


class CallFailed(Exception):
    """Raised when a call has no answer; its text is the code to count it by."""


class Target(AbstractAsyncContextManager["Target"], Protocol):
    """One door of a gateway."""

    async def __aenter__(self) -> Self:
        """Get ready to connect."""
        ...

    async def send(self, events: Sequence[bytes]) -> Answered:
        """Make one call with serialized events; raises CallFailed."""
