"""What the doors over HTTP do alike with a call: tell whose it is, and say what is wrong with it."""

from __future__ import annotations

import math

import orjson
from starlette.requests import Request
from starlette.responses import Response

from questline_ingest.auth.gate import Gate
from questline_ingest.auth.keys import Caller, Role

UNAUTHORIZED = 401


def shown_key(request: Request) -> str:
    """Give the key that a call shows, as it came; empty when it shows none."""
    return request.headers.get("x-api-key") or request.headers.get("authorization") or ""


def caller_of(request: Request, gate: Gate, *, role: Role = "game") -> Caller:
    """Tell whose key a call shows, which has to have the role.

    Raises:
        NotAllowed: it shows none that may make the call.
    """
    return gate.caller(shown_key(request), peer=lambda: request.client.host if request.client else "", role=role)


def problem(status: int, detail: str, *, retry_after_s: float | None = None) -> Response:
    """Say what is wrong as RFC 9457 wants it."""
    headers = {"retry-after": str(math.ceil(retry_after_s))} if retry_after_s else {}
    if status == UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    body = orjson.dumps({"status": status, "detail": detail})
    return Response(body, status, headers, media_type="application/problem+json")
