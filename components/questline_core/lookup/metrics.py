"""Tell Prometheus which generation of the lookup answers, how old it is, and whether a newer one was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from questline_core.lookup.reader import LookupFacts


class LookupCollector(Collector):
    """Asks for the facts at each scrape, so that the age is right at any time."""

    def __init__(self, facts: Callable[[], Mapping[str, LookupFacts]]) -> None:
        """Take what gives the facts by the name of the lookup, such as "churn"."""
        self._facts = facts

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Make the gauges."""
        age = GaugeMetricFamily("questline_lookup_age_seconds", "Since the generation was made", labels=["lookup"])
        players = GaugeMetricFamily("questline_lookup_players", "Players that it knows", labels=["lookup"])
        which = GaugeMetricFamily(
            "questline_lookup_generation", "The generation that answers, as a label", labels=["lookup", "generation"]
        )
        refused = GaugeMetricFamily(
            "questline_lookup_refused", "1 while a newer generation is refused", labels=["lookup"]
        )
        for name, told in self._facts().items():
            refused.add_metric([name], float(bool(told.refused)))
            if told.generation:
                age.add_metric([name], told.age_s)
                players.add_metric([name], told.players)
                which.add_metric([name, told.generation], 1.0)
        return age, players, which, refused
