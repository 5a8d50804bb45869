"""The one table from errors to gRPC status codes."""

from __future__ import annotations

from collections.abc import Mapping

from grpc import StatusCode

from questline_core.errors import BadInput, QuestlineError
from questline_ingest.admission import Overloaded
from questline_ingest.auth.gate import NotAllowed, RateLimited

STATUS: Mapping[type[QuestlineError], StatusCode] = {
    BadInput: StatusCode.INVALID_ARGUMENT,
    Overloaded: StatusCode.RESOURCE_EXHAUSTED,
    RateLimited: StatusCode.RESOURCE_EXHAUSTED,
    NotAllowed: StatusCode.UNAUTHENTICATED,
}

NEUTRAL = "the gateway failed on this call; its log says why"

PUSHBACK = "grpc-retry-pushback-ms"
"""Trailing metadata with the time to wait before a resend, in milliseconds; gRPC's own retries obey it too."""

SERVER_TIME = "questline-server-time"
"""Trailing metadata of an answered call: the gateway's clock, microseconds since 1970 UTC."""


def trailing_metadata(error: QuestlineError) -> tuple[tuple[str, str], ...]:
    """Tell when to try again, where the error knows it."""
    if isinstance(error, Overloaded | RateLimited):
        return ((PUSHBACK, str(max(1, round(error.retry_after_s * 1000)))),)
    return ()
