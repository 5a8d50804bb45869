"""Open the doors beside gRPC that the settings ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from questline_ingest.admission import Admission
from questline_ingest.auth.gate import Gate
from questline_ingest.auth.tls import Files
from questline_ingest.gateway import Budget, Gateway
from questline_ingest.http.door import HttpDoor, http_app
from questline_ingest.http.serving import served
from questline_ingest.settings import GatewaySettings
from questline_ingest.tcp.door import TcpDoor, listening


@asynccontextmanager
async def opened_doors(
    gateway: Gateway, admission: Admission, gate: Gate, settings: GatewaySettings
) -> AsyncIterator[dict[str, str]]:
    """Open JSON over HTTP and JSON over TCP where they are set, and yield their addresses as `http` and `tcp`."""
    async with AsyncExitStack() as opened:
        at: dict[str, str] = {}
        if settings.http_listen:
            app = http_app(HttpDoor(gateway, admission, gate, settings), origins=settings.http_origins)
            at["http"] = await opened.enter_async_context(
                served(
                    app,
                    settings.http_listen,
                    setting="QUESTLINE_HTTP_LISTEN",
                    files=Files.of(settings),
                    shared=settings.processes > 1,
                )
            )
        if settings.tcp_listen:
            longest = Budget(spend_s=settings.spend_timeout_s, churn_s=settings.churn_timeout_s)
            door = TcpDoor(gateway, admission, gate, longest=longest)
            at["tcp"] = await opened.enter_async_context(
                listening(door, settings.tcp_listen, shared=settings.processes > 1)
            )
        yield at
