"""A client's trace reaches the row, and the write of the row makes a span that a real OTLP server gets, linked to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import grpc
import pyarrow as pa
import pytest

from questline_beam.embedded import EmbeddedRows
from questline_beam.process import run_stream
from questline_beam.settings import StreamSettings
from questline_beam.tables import EVENT_KEY, create_tables
from questline_beam.transforms.store import REFUSED, Append
from questline_core.broker.port import Message, open_broker
from questline_core.testing.otlp import Collector, collecting
from questline_core.warehouse.port import EVENTS, open_warehouse
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving

TRACES = [f"{number:032x}" for number in (0xA1, 0xB2, 0xC3)]
FOLLOWED, UNFOLLOWED = "01", "00"


class Telemetry(Protocol):
    def message(self, name: str, **fields: object) -> Message: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


async def send(settings: GatewaySettings, flags: str) -> None:
    """One call with each trace, of two events."""
    with closing(open_broker(settings.broker_url, process="gateway-0")) as broker:
        async with serving(settings, broker) as address, grpc.aio.insecure_channel(address) as channel:
            for trace in TRACES:
                events = [an_event(f"{trace}-{number}") for number in range(2)]
                told = (("traceparent", f"00-{trace}-{1:016x}-{flags}"),)
                await IngestStub(channel).Send(pb.SendRequest(events=events), metadata=told)


def stored(home: Path) -> dict[str, str]:
    with closing(open_warehouse(f"duckdb:{home / 'warehouse'}")) as warehouse:
        rows = warehouse.query("SELECT event_id, trace FROM telemetry.events").to_pylist()
    return {row["event_id"]: row["trace"] for row in rows}


@pytest.mark.parametrize("flags", [FOLLOWED, UNFOLLOWED])
def test_the_write_of_a_clients_events_is_a_span_that_is_linked_to_the_spans_of_its_calls(
    tmp_path: Path, collector: Collector, flags: str
) -> None:
    gateway = GatewaySettings(home=tmp_path, listen="127.0.0.1:0", notice_s=0, otlp_endpoint=collector.endpoint)
    asyncio.run(send(gateway, flags))
    stream = StreamSettings(home=tmp_path, otlp_endpoint=collector.endpoint)
    run_stream(stream, threading.Event(), until_idle=True)

    rows, calls = stored(tmp_path), collector.spans("questline-gateway")
    assert {event_id: trace[3:35] for event_id, trace in rows.items()} == {
        f"{trace}-{number}": trace for trace in TRACES for number in range(2)
    }
    if flags == UNFOLLOWED:
        assert calls == collector.spans("questline-stream") == []
        return
    (write,) = collector.spans("questline-stream")
    assert {(link.trace_id, link.span_id) for link in write.links} == {(call.trace_id, call.span_id) for call in calls}
    assert sorted(call.trace_id.hex() for call in calls) == TRACES
    assert {attribute.key: attribute.value.int_value for attribute in write.attributes} == {"questline.rows": 6}


def test_a_worker_of_the_job_makes_such_spans_and_one_of_a_refused_write_says_so(
    tmp_path: Path, collector: Collector, telemetry: Telemetry, graph: EmbeddedRows
) -> None:
    address = f"duckdb:{tmp_path / 'warehouse'}"
    with closing(open_warehouse(address)) as warehouse:
        create_tables(warehouse)
    rows = graph.run([telemetry.message("a", trace=f"00-{TRACES[0]}-{1:016x}-{FOLLOWED}")]).rows
    day = rows.schema.get_field_index("event_date")
    dateless = rows.set_column(day, "event_date", pa.nulls(1, rows.schema.field(day).type))
    worker = Append(address, EVENTS, key=EVENT_KEY, spans_to=collector.endpoint)
    worker.setup()
    (kept,), (refused,) = list(worker.process(rows)), list(worker.process(dateless))
    worker.teardown()

    good, bad = collector.spans("questline-stream")
    assert (kept.num_rows, refused.tag) == (1, REFUSED)
    assert [[link.trace_id.hex() for link in write.links] for write in (good, bad)] == [TRACES[:1], TRACES[:1]]
    assert (good.status.code, bad.status.message) == (good.status.STATUS_CODE_UNSET, "BadInput")
