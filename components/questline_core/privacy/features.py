"""Erase players from the snapshot of running features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from questline_core.features.store import open_reader, open_writer


@dataclass(frozen=True, slots=True)
class FeaturesHolder:
    """The LMDB file that the stream writes and the gateway maps."""

    folder: Path
    name: str = "features"

    def find(self, player: str) -> int:
        """Count 1 when the snapshot knows the player."""
        with open_reader(self.folder) as store:
            return int(store.get(player) is not None)

    def erase(self, player: str) -> int:
        """Remove the player, also from pages that were deleted."""
        with open_writer(self.folder) as store:
            return int(store.erase(player))
