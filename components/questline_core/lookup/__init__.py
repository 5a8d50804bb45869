"""The lookup of scored players: a signed snapshot that all processes map, replaced in one step."""

from questline_core.lookup.manifest import CURRENT, Damaged, Manifest, signing_key
from questline_core.lookup.reader import Generation, Lookup, LookupFacts
from questline_core.lookup.score import UNKNOWN, Score

__all__ = (
    "CURRENT",
    "UNKNOWN",
    "Damaged",
    "Generation",
    "Lookup",
    "LookupFacts",
    "Manifest",
    "Score",
    "signing_key",
)
