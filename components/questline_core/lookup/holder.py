"""Erase players from the lookup's snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from questline_core.lookup.publish import erase, holds, writing


@dataclass(frozen=True, slots=True)
class LookupHolder:
    """The generations under one folder."""

    root: Path
    key: bytes
    name: str = "lookup"

    def find(self, player: str) -> int:
        """Count the generations that know the player."""
        if not self.root.exists():
            return 0
        with writing(self.root) as writer:
            return sum(holds(folder, player, key=self.key) for folder in writer.generations())

    def erase(self, player: str) -> int:
        """Publish a generation without the player and remove those with him, also from disk."""
        return erase(self.root, player, key=self.key)
