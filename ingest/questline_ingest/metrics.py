"""What a gateway process tells Prometheus: counted where it happens once a batch, added up when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from questline_ingest.admission import Admission
from questline_ingest.gateway import Gateway
from questline_ingest.gathered import Observe

_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0, 2.0, 5.0)
_SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


class Metrics:
    """The registry of one process, and what observes into it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._asked = Histogram(
            "questline_gateway_model_seconds",
            "One request to a model, by the revision that answered and the outcome",
            ("model", "revision", "outcome"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rows = Histogram(
            "questline_gateway_model_rows",
            "Rows of one request to a model, which many calls share",
            ("model",),
            buckets=_SIZES,
            registry=self.registry,
        )
        self._commit = Histogram(
            "questline_gateway_commit_seconds",
            "From handing messages to the broker until they are durable",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._commit_size = Histogram(
            "questline_gateway_commit_messages",
            "Messages that were made durable together",
            buckets=_SIZES,
            registry=self.registry,
        )

    async def text(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def of_model(self, model: str) -> Observe:
        """Give what is to be told of each request to this model."""

        def observe(revision: str, outcome: str, seconds: float, rows: int) -> None:
            self._asked.labels(model, revision, outcome).observe(seconds)
            self._rows.labels(model).observe(rows)

        return observe

    def committed(self, seconds: float, messages: int) -> None:
        """Note one publish that made its messages durable."""
        self._commit.observe(seconds)
        self._commit_size.observe(messages)

    def follow(self, gateway: Gateway, admission: Admission) -> None:
        """Tell of these from now on, whenever Prometheus asks."""
        self.registry.register(_Now(gateway, admission))


class _Now(Collector):
    """Reads the counters of a running gateway."""

    def __init__(self, gateway: Gateway, admission: Admission) -> None:
        self._gateway, self._admission = gateway, admission

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: some are known only once they happen."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Make the samples."""
        events = CounterMetricFamily("questline_gateway_events", "Events by what became of them", labels=["outcome"])
        for outcome, number in asdict(self._gateway.counts).items():
            events.add_metric([outcome], number)
        problems = CounterMetricFamily(
            "questline_gateway_problems", "Events that were rejected or refused, by reason", labels=["reason"]
        )
        for reason, number in self._gateway.reasons.items():
            problems.add_metric([reason], number)
        yield events
        yield problems
        sampled = CounterMetricFamily(
            "questline_gateway_sampled_answers", "Answers chosen to be kept, by what became of them", labels=["outcome"]
        )
        for outcome, number in self._gateway.sample.counts.items():
            sampled.add_metric([outcome], number)
        yield sampled
        yield CounterMetricFamily(
            "questline_gateway_stored_bytes", "Bytes of payload made durable", self._gateway.storing.stored_bytes
        )
        yield CounterMetricFamily(
            "questline_gateway_turned_away",
            "Calls turned away before anything of them was read",
            self._admission.turned_away,
        )
        yield GaugeMetricFamily(
            "questline_gateway_inflight_bytes", "Bytes of calls being worked on", self._admission.inflight_bytes
        )
        yield GaugeMetricFamily(
            "questline_gateway_queue_calls", "Calls whose publish has not begun", self._gateway.storing.waiting
        )
        yield GaugeMetricFamily(
            "questline_gateway_queue_age_seconds", "Age of the oldest of them", self._gateway.storing.waiting_s()
        )
