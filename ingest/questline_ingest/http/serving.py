"""Serve an ASGI application in this process's event loop until the block ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.types import ASGIApp

from questline_core.errors import BadInput
from questline_ingest.addresses import cannot_listen, family, split
from questline_ingest.auth.tls import Files, http_context, load

log = structlog.get_logger()

_HEADERS_BYTES = 16 * 1024
_LOOK_EVERY_S = 5.0
_KEEP_ALIVE_S = 620
"""An idle connection is kept longer than a balancer keeps it (Google's: 600 s), which would send into a closed one."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process, which drains gRPC first."""
        yield


@asynccontextmanager
async def served(
    app: ASGIApp, listen: str, *, setting: str, files: Files | None = None, shared: bool = False
) -> AsyncIterator[str]:
    """Serve at host:port, where port 0 is a free one, and yield the address; other processes may share it.

    Raises:
        NotReady: the address cannot be bound; names the setting that tells another.
        BadInput: the files for TLS cannot be used.
    """
    tls = http_context(files) if files else None
    host, port = split(listen)
    try:
        bound = socket.create_server((host, port), family=family(host), backlog=128, reuse_port=shared)
    except (OSError, OverflowError) as error:
        raise cannot_listen(listen, error, setting=setting) from None
    config = uvicorn.Config(
        app,
        http="h11",  # the one whose limit on what comes before the body can be set
        h11_max_incomplete_event_size=_HEADERS_BYTES,
        server_header=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )
    server = _Server(config)
    with bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        following = asyncio.create_task(_follow(tls, files)) if tls and files else None
        try:
            yield f"{listen.rpartition(':')[0]}:{bound.getsockname()[1]}"
        finally:
            if following:
                following.cancel()
            server.should_exit = True
            await serving


async def _follow(tls: ssl.SSLContext, files: Files) -> None:
    """Take a replaced certificate for new connections."""
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        try:
            load(tls, files)
        except BadInput as error:
            log.warning("the certificate of before stays", reason=str(error))
