"""Send a span for each call over OTLP, and give the traceparent that goes with the events to their rows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_span_id, format_trace_id

from questline_core.tracing import open_tracer, told_context

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SERVICE, _SPAN = "questline-gateway", "questline.ingest.accept"


def traceparent(told: object) -> str:
    """Give a W3C traceparent as the client sent it; empty for anything else."""
    return told if isinstance(told, str) and _TRACEPARENT.fullmatch(told) else ""


class CallSpan:
    """Of one call, from when it is read until nothing of it is worked on.

    Attributes:
        traceparent: what is kept with the events of the call.
    """

    def __init__(self, traceparent: str, span: Span | None = None) -> None:
        self.traceparent, self._span = traceparent, span

    def end(self, error: Exception | None = None) -> None:
        """End the span, if there is one."""
        if self._span:
            if error:
                self._span.set_status(StatusCode.ERROR, type(error).__name__)
            self._span.end()


class Tracing:
    """Makes a span for each call, or none."""

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer

    def begin(self, told: str, *, events: int) -> CallSpan:
        """Begin the span of a call; it must be ended.

        Args:
            told: the traceparent of the client; empty when it sent none.
            events: in the call. A span tells counts and times, and nothing of any player.
        """
        if not self._tracer:
            return CallSpan(told)
        span = self._tracer.start_span(_SPAN, told_context(told), SpanKind.SERVER, {"questline.events": events})
        own = span.get_span_context()
        return CallSpan(f"00-{format_trace_id(own.trace_id)}-{format_span_id(own.span_id)}-{own.trace_flags:02x}", span)


@asynccontextmanager
async def open_tracing(endpoint: str) -> AsyncIterator[Tracing]:
    """Send spans to an OTLP collector until the block ends; without an endpoint make none."""
    opened = ExitStack()
    try:
        yield Tracing(opened.enter_context(open_tracer(endpoint, service=_SERVICE)))
    finally:
        await asyncio.to_thread(opened.close)  # it waits for the collector
