"""Send a span for each call over OTLP, and give the traceparent that goes with the events to their rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext

from opentelemetry.trace import SpanKind, Tracer, format_span_id, format_trace_id

from questline_core.tracing import open_tracer, spanned, told_context

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
    parent, counts = told_context(told), {"questline.events": events}
    with spanned(tracer, _SPAN, kind=SpanKind.SERVER, parent=parent, attributes=counts) as span:
        own = span.get_span_context()
        yield f"00-{format_trace_id(own.trace_id)}-{format_span_id(own.span_id)}-{own.trace_flags:02x}"


@asynccontextmanager
async def open_tracing(endpoint: str) -> AsyncIterator[Tracing]:
    """Send spans to an OTLP collector until the block ends; without an endpoint make none."""
    opened = ExitStack()
    try:
        yield Tracing(opened.enter_context(open_tracer(endpoint, service=_SERVICE)))
    finally:
        await asyncio.to_thread(opened.close)  # it waits for the collector
