"""Make a span of each write of events, linked to the calls that brought them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanKind, get_current_span

from questline_core.tracing import open_tracer, spanned, told_context

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_SERVICE, _SPAN = "questline-stream", "questline.stream.write"
_SAMPLED = frozenset("13579bdf")
"""Last digits of a traceparent whose trace is followed."""
_LINKS = 128


def open_stream_tracer(endpoint: str) -> AbstractContextManager[Tracer | None]:
    """Give what makes spans of writes; which calls are followed was decided where they came in."""
    return open_tracer(endpoint, service=_SERVICE, sampler=ALWAYS_ON)


@contextmanager
def span_of_write(tracer: Tracer | None, rows: pa.Table) -> Iterator[None]:
    """Span the block that writes these events, if one of their calls is followed.

    It is linked to the first 128 of those calls, which is as many as OpenTelemetry keeps.
    """
    links = _links(rows) if tracer else []
    if tracer is None or not links:
        yield
        return
    with spanned(tracer, _SPAN, kind=SpanKind.CONSUMER, attributes={"questline.rows": rows.num_rows}, links=links):
        yield


def _links(rows: pa.Table) -> list[Link]:
    told = (text for text in rows["trace"].unique().to_pylist() if text and text[-1] in _SAMPLED)
    calls = (get_current_span(told_context(text)).get_span_context() for text in islice(told, _LINKS))
    return [Link(call) for call in calls if call.is_valid]
