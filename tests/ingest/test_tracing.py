"""Traces reach a real OTLP server and, with the events, the broker; logs say nothing of players."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
from structlog.testing import capture_logs

from questline_core.errors import BrokerFull
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_core.testing.otlp import Collector, collecting
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving_all

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TOLD = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


async def test_the_clients_trace_goes_through_a_span_of_the_gateway_to_the_message_and_its_row(
    settings: GatewaySettings, broker: MemoryBroker, collector: Collector
) -> None:
    traced = settings.model_copy(update={"otlp_endpoint": collector.endpoint, "http_listen": "127.0.0.1:0"})
    row = {"event_id": "h", "event_name": "n", "event_timestamp": 1_800_000_000_000_000, "user_pseudo_id": "p"}
    async with (
        serving_all(traced, broker) as at,
        grpc.aio.insecure_channel(at.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{at.http}") as http,
    ):
        stub: IngestAsyncStub = IngestStub(channel)
        await stub.Send(pb.SendRequest(events=[an_event("a"), an_event("b")]), metadata=(("traceparent", TOLD),))
        await http.post("/v1/events", json=row, headers={"traceparent": TOLD})

    spans = collector.spans("questline-gateway")
    assert {(span.trace_id.hex(), span.parent_span_id.hex()) for span in spans} == {(TRACE, PARENT)}
    of_call, of_http = (f"00-{TRACE}-{span.span_id.hex()}-01" for span in spans)
    assert [message.attributes["trace"] for message in broker.published] == [of_call, of_call, of_http]
    assert [Event.FromString(message.data).trace for message in broker.published] == [of_call, of_call, of_http]
    assert [attribute.key for attribute in spans[0].attributes] == ["questline.events"]


async def test_without_a_collector_the_clients_trace_is_kept_as_it_came(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        await stub.Send(pb.SendRequest(events=[an_event()]), metadata=(("traceparent", TOLD),))

    assert Event.FromString(broker.published[0].data).trace == TOLD


def test_the_collector_is_told_by_the_variable_of_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GatewaySettings.read().otlp_endpoint == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")

    assert GatewaySettings.read().otlp_endpoint == "http://collector:4317"


async def test_logs_say_nothing_of_players(
    settings: GatewaySettings, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = {"user_pseudo_id": "PRIVATE-player", "user_id": "PRIVATE-name"}
    events = [an_event("PRIVATE-a", **private), an_event("PRIVATE-b", **private | {"event_name": ""})]
    request = pb.SendRequest(events=events, predict=[pb.SPEND, pb.CHURN])
    with capture_logs() as logs:
        async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
            stub: IngestAsyncStub = IngestStub(channel)
            for failure in (None, BrokerFull("spool", "it is full", retry_after_s=1), RuntimeError("broken")):
                broker.failure = failure
                await stub.Send(request)
            monkeypatch.setattr("questline_ingest.gateway.event_messages", lambda *_: 1 / 0)
            with suppress(grpc.aio.AioRpcError):
                await stub.Send(pb.SendRequest(events=[an_event("PRIVATE-c", **private)]))

    assert {"publish failed", "call failed"} <= {entry["event"] for entry in logs}
    assert not [entry for entry in logs if "PRIVATE" in str(entry) or "peer" in entry]
