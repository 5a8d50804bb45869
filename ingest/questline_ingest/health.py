"""Health v1 of the gateway: what Kubernetes asks and what balancers watch.

grpc_health's own asyncio servicer lets a watcher that leaves cut off the others, and a watcher that stays hold up the
drain for its whole time; this one has a single state, and ends its watchers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest as Request
from grpc_health.v1.health_pb2 import HealthCheckResponse as Response


class Health:
    """SERVING from the start, NOT_SERVING after `leave`, no more watchers after `end`."""

    def __init__(self, services: Collection[str]) -> None:
        self._services = {"", *services}
        self._serving, self._ended = True, False
        self._changed = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Whether new calls are wanted."""
        return self._serving

    async def Check(  # noqa: N802 - the protocol's name
        self, request: Request, context: grpc.aio.ServicerContext[Request, Response]
    ) -> Response:
        """Tell the state of a service."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return Response(status=self._status(request.service))

    async def Watch(  # noqa: N802 - the protocol's name
        self,
        request: Request,
        context: grpc.aio.ServicerContext[Request, Response],  # noqa: ARG002 - gRPC gives it
    ) -> AsyncIterator[Response]:
        """Tell the state of a service now and at every change."""
        told = None
        while True:
            changed, status = self._changed, self._status(request.service)
            if status != told:
                yield Response(status=status)
                told = status
            if self._ended:
                return
            await changed.wait()

    def leave(self) -> None:
        """Say NOT_SERVING from now on."""
        self._serving = False
        self._wake()

    def end(self) -> None:
        """Let every watcher go."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _status(self, service: str) -> int:
        name = "NOT_SERVING"
        if service not in self._services:
            name = "SERVICE_UNKNOWN"
        elif self._serving:
            name = "SERVING"
        return int(Response.ServingStatus.Value(name))
