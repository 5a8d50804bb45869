"""What a place that holds players must be able to do, so that erasure reaches it."""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """One place: a table, the broker, a store, a folder of files. Both calls may be made again after a crash."""

    @property
    def name(self) -> str:
        """The place, as the record names it."""

    def find(self, player: str) -> int:
        """Count what the place holds of a player: rows, messages, files."""

    def erase(self, player: str) -> int:
        """Remove all of it for good, also from the bytes on disk, and count it.

        Raises:
            BadInput: it can never be removed; says why.
            LivesOn: likewise, but it ends by itself; says when.
            NotReady: it cannot be removed now; says what to do.
        """
