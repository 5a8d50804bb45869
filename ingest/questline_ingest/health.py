"""Health v1 of the gateway: what Kubernetes asks and what balancers watch.

grpc_health's own asyncio servicer lets a watcher that leaves cut off the others, and a watcher that stays hold up the
drain for its whole time; this one ends its watchers.

The nameless service is the process: it answers a probe of liveness, which would do harm by starting the gateway again
while the broker is in trouble. The named ones are what a caller wants: they serve while what they need does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest as Request
from grpc_health.v1.health_pb2 import HealthCheckResponse as Response

_LOOK_EVERY_S = 0.5


class Health:
    """SERVING from the start, but for named services in trouble; NOT_SERVING after `leave`, no watchers after `end`."""

    def __init__(self, services: Collection[str], *, trouble: Callable[[], str]) -> None:
        """Take the names of services, and what tells why they cannot do their work; empty while they can."""
        self._services, self._trouble = {"", *services}, trouble
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

    async def follow(self) -> None:
        """Tell watchers when trouble begins and ends, until cancelled."""
        told = False
        while True:
            if told != bool(self._trouble()):
                told = not told
                self._wake()
            await asyncio.sleep(_LOOK_EVERY_S)

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
        elif self._serving and not (service and self._trouble()):
            name = "SERVING"
        return int(Response.ServingStatus.Value(name))
