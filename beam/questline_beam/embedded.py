"""Run the transforms in this process: one graph, built once, and run for each batch that the driver pulls."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment

from questline_beam.tables import EVENT_SCHEMA, REJECT_SCHEMA
from questline_beam.transforms import Batch, RejectRows, TelemetryRows
from questline_core.broker.port import Message

ELEMENT_MESSAGES = 5_000
"""Messages in one element: a call of a step costs as much as some tens of messages."""


@dataclass(slots=True)
class Exchange:
    """Where a run of the graph finds its messages and leaves its results: runner and driver are one process."""

    messages: Sequence[Message] = ()
    rows: list[pa.Table] = field(default_factory=list)
    rejects: list[pa.Table] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)


_EXCHANGES: dict[str, Exchange] = {}
_NUMBERS = itertools.count()


def _take_messages(exchange: str) -> Iterator[Batch[Message]]:
    messages = _EXCHANGES[exchange].messages
    for start in range(0, len(messages), ELEMENT_MESSAGES):
        yield Batch(messages[start : start + ELEMENT_MESSAGES])


def _leave(result: object, exchange: str, place: str) -> None:
    getattr(_EXCHANGES[exchange], place).append(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a batch of messages became: messages = rows + rejects + duplicates."""

    rows: pa.Table
    rejects: pa.Table
    duplicates: int
    """Copies within the batch that were seen without the warehouse."""


class EmbeddedRows:
    """The telemetry graph under Beam's `FnApiRunner`.

    It is named because Beam's default local runner would fetch another program (Prism) first. It works in the calling
    process, without child processes. A run costs 0.05 s beside the work on the messages; with a graph that is built
    anew for each run it would be 0.2 s, under Beam's other in-process runner (`BundleBasedDirectRunner`) 0.4 s.
    """

    def __init__(self, *, title: str) -> None:
        """Build the graph; `title` is that of events that bring none."""
        self._name = f"exchange-{next(_NUMBERS)}"
        self._options = PipelineOptions([])
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=self._options)
        self._connect(pipeline, title)
        self._graph = pipeline.to_runner_api(default_environment=EmbeddedPythonEnvironment.default())

    def _connect(self, pipeline: beam.Pipeline, title: str) -> None:
        output = (
            pipeline
            | "Name the exchange" >> beam.Create([self._name], reshuffle=False)
            | "Take messages" >> beam.FlatMap(_take_messages).with_output_types(Batch)
            | "Telemetry" >> TelemetryRows(title=title)
        )
        rejects = output.rejects | "Reject rows" >> RejectRows()
        for place, collection in output._replace(rejects=rejects)._asdict().items():
            collection | f"Leave {place}" >> beam.Map(_leave, self._name, place)

    def run(self, messages: Sequence[Message]) -> Outcome:
        """Make rows and rejects of these messages; nothing is stored yet."""
        exchange = _EXCHANGES[self._name] = Exchange(messages=messages)
        try:
            FnApiRunner().run_via_runner_api(copy.deepcopy(self._graph), self._options).wait_until_finish()
        finally:
            del _EXCHANGES[self._name]
        return Outcome(
            rows=_together(exchange.rows, EVENT_SCHEMA),
            rejects=_together(exchange.rejects, REJECT_SCHEMA),
            duplicates=sum(exchange.duplicates),
        )


def _together(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables([schema.empty_table(), *tables])
