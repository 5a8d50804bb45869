"""Store: tables go to a warehouse, and what it refuses, or nobody could read, to a dead-letter topic as well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from questline_beam.tracing import open_stream_tracer, span_of_write
from questline_beam.transforms.batches import Batch
from questline_beam.transforms.rejects import SOURCE, now_micros
from questline_core.broker.port import REJECT, Broker, Message, open_broker
from questline_core.errors import BadInput
from questline_core.events.sieve import ahead, late
from questline_core.pb.broker_pb2 import Reject
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

STORED, REFUSED = "stored", "refused"
"""Tags of the two sides."""


class Append(beam.DoFn):
    """Appends tables by their key, and yields what was stored; to BigQuery by its Storage Write API, at least once.

    A table that the warehouse refuses is halved until the row that it refuses is alone. Any other failure is the
    runner's: it tries the bundle again, and the key keeps a second try from making second rows.
    """

    def __init__(self, address: str, table: str, *, key: str, spans_to: str = "") -> None:
        self._address, self._table, self._key, self._spans_to = address, table, key, spans_to
        self._opened: ExitStack | None = None
        self._warehouse: Warehouse | None = None
        self._tracer: Tracer | None = None

    def setup(self) -> None:
        """Open the warehouse, once for each worker."""
        self._opened = ExitStack()
        self._warehouse = self._opened.enter_context(closing(open_warehouse(self._address)))
        self._tracer = self._opened.enter_context(open_stream_tracer(self._spans_to))

    def teardown(self) -> None:
        """Close it."""
        if self._opened is not None:
            self._opened.close()

    def process(self, rows: pa.Table) -> Iterator[Any]:
        """Yield the rows that are stored now, and a tagged batch of rejects for those that cannot be."""
        assert self._warehouse is not None  # noqa: S101 - the runner has called setup
        try:
            with span_of_write(self._tracer, rows):
                appended = self._warehouse.append(self._table, rows, key=self._key)
        except BadInput as error:
            if (half := rows.num_rows // 2) > 0:
                yield from self.process(rows.slice(0, half))
                yield from self.process(rows.slice(half))
            else:
                yield TaggedOutput(REFUSED, Batch([_refused(rows, self._key, error)]))
            return
        self._count("rows", appended.rows)
        self._count("rows_again", appended.skipped)
        if self._table == EVENTS:
            self._count("ahead", ahead(rows))
            self._count("late", late(rows))
        yield rows

    def _count(self, name: str, number: int) -> None:
        Metrics.counter(self._table, name).inc(number)


def _refused(row: pa.Table, key: str, error: BadInput) -> Reject:
    (facts,) = row.to_pylist()
    return Reject(
        payload=str(facts).encode(),
        reason="unstorable",
        message=str(error),
        source=SOURCE,
        time_micros=now_micros(),
        event_id=facts.get("event_id") or "",
        title=facts.get("title") or "",
        message_id=f"{key}-{facts[key]}",
    )


class AppendTo(beam.PTransform[PCollection[pa.Table], Any]):
    """Tables go to a table of the warehouse; returns the sides `stored` (tables) and `refused` (batches of rejects)."""

    def __init__(self, address: str, table: str, *, key: str, spans_to: str = "") -> None:
        """See `Append`; for tables with a column `trace`, `spans_to` is the URL of the OTLP collector, if any."""
        super().__init__()
        self._append = Append(address, table, key=key, spans_to=spans_to)

    def expand(self, tables: PCollection[pa.Table]) -> Any:
        """See the class."""
        step = beam.ParDo(self._append).with_output_types(pa.Table)
        return tables | "Append" >> step.with_outputs(REFUSED, main=STORED)


class Publish(beam.DoFn):
    """Publishes rejects to a topic, with reason and payload."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opened: ExitStack | None = None
        self._broker: Broker | None = None
        self._loop: asyncio.Runner | None = None

    def setup(self) -> None:
        """Open the broker, once for each worker, and the event loop to which its channel is bound."""
        self._opened = ExitStack()
        self._loop = self._opened.enter_context(asyncio.Runner())
        self._broker = self._opened.enter_context(closing(open_broker(self._address)))

    def teardown(self) -> None:
        """Close both."""
        if self._opened is not None:
            self._opened.close()

    def process(self, rejects: Batch[Reject]) -> None:
        """Return when they are durable."""
        assert self._broker is not None  # noqa: S101 - the runner has called setup
        assert self._loop is not None  # noqa: S101 - as above
        self._loop.run(self._broker.publish([_dead_letter(reject) for reject in rejects]))


def _dead_letter(reject: Reject) -> Message:
    time_ms = str(reject.time_micros // 1_000)
    attributes = {"kind": REJECT, "id": reject.event_id, "name": reject.reason, "time": time_ms}
    return Message(data=reject.SerializeToString(), attributes=attributes)
