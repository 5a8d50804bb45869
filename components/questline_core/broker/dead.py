"""The port of dead letters: what was given up after `MAX_ATTEMPTS`, to be looked at and sent again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from questline_core.adapters import open_adapter
from questline_core.broker.port import Broker, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up."""

    name: str
    """Names it among the dead letters."""
    message: Message
    attempts: int
    reason: str


class DeadLetters(Protocol):
    """Where a broker keeps what it gave up."""

    def find(self, limit: int) -> Sequence[DeadLetter]:
        """Look at up to `limit` of them, oldest first; they stay."""

    def remove(self, names: Collection[str]) -> None:
        """Remove those that were dealt with; names that are not there are passed over."""

    def close(self) -> None:
        """Release files and connections; what was not removed stays."""


_DEAD_LETTERS = {
    "pubsub": ("questline_core.broker.pubsub.dead:open_dead_letters", "gcp"),
    "spool": ("questline_core.broker.spool.dead:open_dead_letters", "ingest"),
}


def open_dead_letters(address: str) -> DeadLetters:
    """Open the dead letters of the broker at an address."""
    return open_adapter("broker", address, _DEAD_LETTERS)  # type: ignore[no-any-return]


async def revive(dead: DeadLetters, broker: Broker, *, limit: int) -> int:
    """Send dead letters again as new messages, then remove them; returns how many.

    After a crash between the two some are sent once more, which an event's id makes one row of.
    """
    found = dead.find(limit)
    if found:
        await broker.publish([letter.message for letter in found])
        dead.remove([letter.name for letter in found])
    return len(found)
