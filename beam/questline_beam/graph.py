"""The streaming graph: messages from anywhere become rows, sessions and dead letters in a warehouse and a topic."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from questline_beam.tables import EVENT_KEY, PREDICTION_KEY, REJECT_KEY
from questline_beam.transforms import Batch, RejectRows, TelemetryRows
from questline_beam.transforms.forget import DropForgotten
from questline_beam.transforms.gather import Gather
from questline_beam.transforms.served import ServedRows
from questline_beam.transforms.sessions import Sessions
from questline_beam.transforms.store import AppendTo, Publish
from questline_core.broker.port import Message
from questline_core.events.sessions import SESSION_KEY, SESSIONS
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, PREDICTIONS, REJECTS


class Stream(beam.PTransform[PCollection[Message], None]):
    """Messages become rows of events, sessions, predictions and rejects; what broke the contract goes to a topic, too.

    The labels are a contract: a job that runs can be updated only by a graph that has the same ones.
    """

    def __init__(self, settings: PlatformSettings, *, dead_letters: str = "") -> None:
        """Set where the results go: to the warehouse of the settings, and to the broker at this address if any."""
        super().__init__()
        self._settings, self._dead_letters = settings, dead_letters

    def expand(self, messages: PCollection[Message]) -> None:
        """See the class."""
        to = self._settings.warehouse_url
        batches = messages | "Batches" >> beam.ParDo(Gather(Batch)).with_output_types(Batch)
        telemetry = batches | "Telemetry" >> TelemetryRows(title=self._settings.title, once=True)
        telemetry.duplicates | "Count duplicates" >> beam.Map(_count_duplicates)
        rows = telemetry.rows | "Forgotten players" >> DropForgotten(self._settings)
        events = rows | "Events" >> AppendTo(to, EVENTS, key=EVENT_KEY, spans_to=self._settings.otlp_endpoint)
        stored = events.stored | "Forgotten meanwhile" >> DropForgotten(self._settings, stored=True)
        sessions = stored | "Sessions" >> Sessions() | "Session rows" >> AppendTo(to, SESSIONS, key=SESSION_KEY)
        sessions.stored | "Sessions of forgotten" >> DropForgotten(self._settings, SESSIONS, stored=True)
        answers, garbage = batches | "Served answers" >> ServedRows()
        predictions = (
            answers
            | "Forgotten players of answers" >> DropForgotten(self._settings, PREDICTIONS)
            | "Predictions" >> AppendTo(to, PREDICTIONS, key=PREDICTION_KEY)
        )
        predictions.stored | "Answers of forgotten" >> DropForgotten(self._settings, PREDICTIONS, stored=True)
        rejects = (
            telemetry.rejects,
            garbage,
            events.refused,
            predictions.refused,
        ) | "All dead letters" >> beam.Flatten()
        kept = rejects | "Reject rows" >> RejectRows() | "Rejects" >> AppendTo(to, REJECTS, key=REJECT_KEY)
        kept.stored | "Rejects of forgotten" >> DropForgotten(self._settings, REJECTS, stored=True)
        if self._dead_letters:
            rejects | "Dead letters" >> beam.ParDo(Publish(self._dead_letters))


def _count_duplicates(number: int) -> None:
    Metrics.counter(EVENTS, "duplicates").inc(number)
