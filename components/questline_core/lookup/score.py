"""What the lookup knows of one player, and how it lies in the snapshot: 16 bytes of key, 8 bytes of value."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import NamedTuple

KEY_BYTES = 16
VALUE = struct.Struct("<f4s")
"""The probability, and the rest as one key into what a generation decoded before."""
TAIL = struct.Struct("<BBH")
"""Index of the source, what became of the player (see `OUTCOMES`), index of the reasons."""
OUTCOMES = (None, False, True)

UNKNOWN = "unknown"
"""Source of the score of a player whom the snapshot does not know."""


class Score(NamedTuple):
    """A player's probability of leaving. A tuple and not a dataclass: one is made for each question."""

    probability: float
    source: str
    """Where it is from: a model's name, `first_hours`, `bounced`, or `unknown` for the prior of a player not known."""
    churned: bool | None
    """What the player did, as far as it is decided already; None while it is not."""
    reasons: tuple[str, ...]
    """The features that moved the score most, the strongest first; empty for a prior."""


def key_of(player: str) -> bytes:
    """Give the key of a player: a hash, so that ids of any length fit and none lies in the file."""
    return blake2b(player.encode(), digest_size=KEY_BYTES).digest()
