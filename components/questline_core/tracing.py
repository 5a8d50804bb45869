"""Send spans over OTLP where a collector is named; a span tells counts and times, and nothing of any player."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Link, Span, SpanKind, Tracer


@contextmanager
def open_tracer(endpoint: str, *, service: str, sampler: Sampler | None = None) -> Iterator[Tracer | None]:
    """Give what makes the spans of a service, and send them to an OTLP collector until the block ends.

    The other variables of OpenTelemetry (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`, ...) count as everywhere.

    Args:
        endpoint: URL of the collector (gRPC); None is given where it is empty.
        service: what the collector calls this process.
        sampler: chooses the spans that are made, instead of the one that the variables name.
    """
    if not endpoint:
        yield None
        return
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    try:
        yield provider.get_tracer(__name__)
    finally:
        provider.shutdown()


@contextmanager
def spanned(  # noqa: PLR0913 - what a span is made of
    tracer: Tracer,
    name: str,
    *,
    kind: SpanKind,
    attributes: Mapping[str, int],
    parent: Context | None = None,
    links: Sequence[Link] = (),
) -> Iterator[Span]:
    """Span the block; of an error that leaves it the span tells the type only."""
    span = tracer.start_span(name, parent, kind, attributes, links)
    try:
        yield span
    except BaseException as error:
        span.set_status(StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        span.end()


def told_context(traceparent: str) -> Context:
    """Give what a W3C traceparent says; an empty one, and one that is none, says nothing."""
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
