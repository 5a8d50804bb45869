"""Players to work with: seeded, generated histories of a game that look like the published ones."""

from questline_ingest.simulate import published
from questline_ingest.simulate.history import Days, arrivals, simulate
from questline_ingest.simulate.summary import Summary, summarise
from questline_ingest.simulate.world import World

__all__ = ("Days", "Summary", "World", "arrivals", "published", "simulate", "summarise")
