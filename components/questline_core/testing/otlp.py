"""An OTLP collector in this process, which keeps the spans that it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans as any OTLP collector does.

    Attributes:
        endpoint: its URL.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self._sent: list[tuple[str, Any]] = []

    def spans(self, service: str) -> list[Any]:
        """Give the spans of one service, in the order in which they came."""
        return [span for name, span in self._sent if name == service]

    def Export(self, request: Any, _context: object) -> Any:  # noqa: N802 - the protocol's name
        """Keep what is sent."""
        for of_resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in of_resource.resource.attributes}
            spans = (span for of_scope in of_resource.scope_spans for span in of_scope.spans)
            self._sent += [(names["service.name"], span) for span in spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port until the block ends."""
    collector = Collector()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
        collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield collector
        finally:
            server.stop(None).wait()
