"""The door for clients that cannot speak gRPC: the same service as JSON over HTTP, with the same limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from questline_core.errors import BadInput, QuestlineError
from questline_ingest.admission import Admission, Overloaded
from questline_ingest.auth.gate import Gate, NotAllowed, RateLimited
from questline_ingest.gateway import Budget, Gateway
from questline_ingest.http.calls import UNAUTHORIZED, caller_of, problem
from questline_ingest.http.events import answers, read_events
from questline_ingest.settings import GatewaySettings
from questline_ingest.status import NEUTRAL
from questline_ingest.tracing import traceparent

log = structlog.get_logger()

_BODY_S = 30.0
"""Longest that a body may take to come."""
_PLAIN = "identity"


class TooLarge(QuestlineError):
    """Raised when a body is longer than the longest message."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"the body is longer than {most_bytes:,} bytes; send fewer events at once")


class Encoded(QuestlineError):
    """Raised when a body is compressed, or encoded otherwise."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"the body is encoded as {encoding}; send plain JSON")


STATUS: Mapping[type[QuestlineError], int] = {
    BadInput: 400,
    NotAllowed: UNAUTHORIZED,
    TooLarge: 413,
    Encoded: 415,
    RateLimited: 429,
    Overloaded: 503,
}
"""The one table from errors to HTTP status codes."""


class HttpDoor:
    """`POST /v1/events` over a gateway."""

    def __init__(self, gateway: Gateway, admission: Admission, gate: Gate, settings: GatewaySettings) -> None:
        self._gateway, self._admission, self._gate = gateway, admission, gate
        self._most_bytes = settings.max_message_bytes
        self._longest = Budget(spend_s=settings.spend_timeout_s, churn_s=settings.churn_timeout_s)

    async def events(self, request: Request) -> Response:
        """Answer one call; unknown errors are logged here, once, and leave with a neutral text."""
        try:
            return await self._answer(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except TimeoutError:
            return problem(408, f"the body did not come within {_BODY_S:g} s")
        except QuestlineError as error:
            code = STATUS.get(type(error))
            if code is not None:
                return problem(code, str(error), retry_after_s=getattr(error, "retry_after_s", None))
            log.exception("call failed")
        except Exception:
            log.exception("call failed")
        return problem(500, NEUTRAL)

    async def _answer(self, request: Request) -> Response:
        caller = caller_of(request, self._gate)
        raw = await self._body(request)
        with self._admission.admit(len(raw)):
            batch = read_events(raw)
            self._gate.spend(caller, len(batch.events))
            trace = traceparent(request.headers.get("traceparent"))
            answered = await self._gateway.accept(batch, trace=trace, budget=self._longest, caller=caller)
        return Response(orjson.dumps({"answers": answers(answered)}), media_type="application/json")

    async def _body(self, request: Request) -> bytes:
        if (encoding := request.headers.get("content-encoding", _PLAIN)) != _PLAIN:
            raise Encoded(encoding)
        parts, size = [], 0
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                size += len(part)
                if size > self._most_bytes:
                    raise TooLarge(self._most_bytes)
                parts.append(part)
        return b"".join(parts)


def http_app(door: HttpDoor, *, origins: tuple[str, ...]) -> Starlette:
    """Make the application; web pages of the origins may call it."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "traceparent", "x-api-key"],
        expose_headers=["retry-after"],
        max_age=86_400,
    )
    app = Starlette(
        routes=[Route("/v1/events", door.events, methods=["POST"])],
        middleware=[cors] if origins else [],
        exception_handlers={HTTPException: _elsewhere},
    )
    app.router.redirect_slashes = False  # few clients send their body again to where they are redirected
    return app


async def _elsewhere(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return problem(status, f"there is no {request.method} {request.url.path}; events go to POST /v1/events")
