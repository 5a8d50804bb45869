"""What those who run the gateway ask it: whether it lives, whether it is ready and why not, and its metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MetricsText = Callable[[], Awaitable[bytes]]
"""Gives all metrics in Prometheus' text format."""

NotReadyBecause = Callable[[], Awaitable[Sequence[str]]]
"""Gives sentences, none while the gateway is ready."""


def admin_app(metrics_text: MetricsText, not_ready: NotReadyBecause) -> Starlette:
    """Make the application: `/metrics`, `/readyz` (200 or 503) and `/healthz`. It holds nothing of any player."""

    async def metrics(_: Request) -> Response:
        return Response(await metrics_text(), media_type=CONTENT_TYPE_LATEST)

    async def readyz(_: Request) -> Response:
        why = list(await not_ready())
        return JSONResponse({"ready": not why, "why": why}, status_code=503 if why else 200)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    return Starlette(routes=[Route("/metrics", metrics), Route("/readyz", readyz), Route("/healthz", healthz)])
