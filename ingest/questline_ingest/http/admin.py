"""What those who run the gateway ask it: whether it lives, whether it is ready and why not, and its metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from questline_ingest.addresses import is_loopback
from questline_ingest.auth.gate import Gate, NotAllowed
from questline_ingest.auth.tls import Files
from questline_ingest.http.calls import UNAUTHORIZED, caller_of, problem, shown_key
from questline_ingest.http.serving import served
from questline_ingest.settings import GatewaySettings

MetricsText = Callable[[], Awaitable[bytes]]
"""Gives all metrics in Prometheus' text format."""

NotReadyBecause = Callable[[], Awaitable[Sequence[str]]]
"""Gives sentences, none while the gateway is ready."""


@asynccontextmanager
async def opened_admin(
    settings: GatewaySettings, gate: Gate, metrics_text: MetricsText, not_ready: NotReadyBecause
) -> AsyncIterator[str]:
    """Open the door for operators and yield its address; one that only this machine reaches asks for no key.

    Raises:
        NotReady: the address cannot be bound.
        BadInput: the files for TLS cannot be used.
    """
    listen, files = settings.admin_listen, Files.of(settings)
    near = is_loopback(listen)
    app = admin_app(metrics_text, not_ready, None if near else gate)
    # The probes of Kubernetes show no certificate, so none is demanded.
    tls = replace(files, client_ca=None) if files and not near else None
    async with served(app, listen, setting="QUESTLINE_ADMIN_LISTEN", files=tls) as address:
        yield address


def admin_app(metrics_text: MetricsText, not_ready: NotReadyBecause, gate: Gate | None) -> Starlette:
    """Make the application, which holds nothing of any player.

    `/healthz` and `/readyz` (200 or 503) answer everyone. Where there is a gate, `/metrics`, and why the gateway is not
    ready, are told only to those who show a key of the role admin.
    """

    async def metrics(request: Request) -> Response:
        if gate:
            caller_of(request, gate, role="admin")
        return Response(await metrics_text(), media_type=CONTENT_TYPE_LATEST)

    async def readyz(request: Request) -> Response:
        told = gate is None or bool(shown_key(request))
        if gate and told:
            caller_of(request, gate, role="admin")
        why = list(await not_ready())
        return JSONResponse({"ready": not why} | ({"why": why} if told else {}), status_code=503 if why else 200)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def refused(_: Request, error: Exception) -> Response:
        return problem(UNAUTHORIZED, str(error))

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/readyz", readyz), Route("/healthz", healthz)],
        exception_handlers={NotAllowed: refused},
    )
