"""Send a span for each call over OTLP, and give the traceparent that goes with the events to their rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SERVICE, _SPAN = "questline-gateway", "questline.ingest.accept"


def traceparent(told: object) -> str:
    """Give a W3C traceparent as the client sent it; empty for anything else."""
    return told if isinstance(told, str) and _TRACEPARENT.fullmatch(told) else ""


class Tracing:
    """Makes a span for each call, or none."""

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer

    def call(self, told: str, *, events: int) -> AbstractContextManager[str]:
        """Span the block, and give the traceparent that is kept with the events of a call.

        Args:
            told: the traceparent of the client; empty when it sent none.
            events: in the call. A span tells counts and times, and nothing of any player.
        """
        return _spanned(self._tracer, told, events) if self._tracer else nullcontext(told)


@contextmanager
def _spanned(tracer: Tracer, told: str, events: int) -> Iterator[str]:
    parent = TraceContextTextMapPropagator().extract({"traceparent": told})
    span = tracer.start_span(_SPAN, parent, SpanKind.SERVER, {"questline.events": events})
    own = span.get_span_context()
    try:
        yield f"00-{format_trace_id(own.trace_id)}-{format_span_id(own.span_id)}-{own.trace_flags:02x}"
    except BaseException as error:
        span.set_status(StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        span.end()


@asynccontextmanager
async def open_tracing(endpoint: str) -> AsyncIterator[Tracing]:
    """Send spans to an OTLP collector until the block ends; without an endpoint make none.

    The other variables of OpenTelemetry (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, ...) count as everywhere.
    """
    if not endpoint:
        yield Tracing(None)
        return
    provider = TracerProvider(resource=Resource.create({"service.name": _SERVICE}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    try:
        yield Tracing(provider.get_tracer(__name__))
    finally:
        await asyncio.to_thread(provider.shutdown)
