"""What tests of a game's client build on: a gateway that answers as it is told, and clients beside an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import grpc

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.game import GameClient
from questline_ingest.client.uploading import Pace
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.status import PUSHBACK, SERVER_TIME

QUICK = Pace(every_s=0.02, first_backoff_s=0.02, longest_backoff_s=0.1)
CHURN = pb.ChurnPrediction(probability=0.75, source=pb.FRESH)


async def opened(client: GameClient, *, consent: bool | None = True) -> GameClient:
    """Open a client outside the event loop; it is told of consent unless that is None."""
    await asyncio.to_thread(client.__enter__)
    if consent is not None:
        client.set_consent(given=consent)
    return client


async def closed(client: GameClient) -> None:
    """Close it outside the event loop."""
    await asyncio.to_thread(client.__exit__)


class FakeGateway:
    """Answers calls as it is told, where a real gateway would not for long.

    Attributes:
        address: host:port while it runs.
        calls: of every call so far the time (monotonic), the ids of its events, and its metadata.
        events: of all calls that it answered.
        failure: code, details and milliseconds of push-back with which calls fail; None while they are answered.
        bad: id of an event that makes its call fail.
        ahead_us: microseconds by which its clock is ahead.
        hold: calls wait until it is set.
    """

    def __init__(self) -> None:
        self.address = ""
        self.calls: list[tuple[float, list[str], dict[str, str]]] = []
        self.events: list[Event] = []
        self.failure: tuple[grpc.StatusCode, str, int] | None = None
        self.bad = ""
        self.ahead_us = 0
        self.hold = asyncio.Event()
        self.hold.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Listen on a free port until the block ends."""
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._send,
            request_deserializer=pb.SendRequest.FromString,
            response_serializer=pb.SendResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("questline.ingest.v1.Ingest", {"Send": handler}),)
        )
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            self.hold.set()
            await server.stop(None)

    async def _send(self, request: pb.SendRequest, context: grpc.aio.ServicerContext) -> pb.SendResponse:  # type: ignore[type-arg]
        metadata = {key: str(value) for key, value in context.invocation_metadata() or ()}
        ids = [event.event_id for event in request.events]
        self.calls.append((time.monotonic(), ids, metadata))
        await self.hold.wait()
        if self.failure:
            code, details, pushback_ms = self.failure
            await context.abort(code, details, ((PUSHBACK, str(pushback_ms)),))
        if self.bad in ids:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "cannot be read")
        self.events.extend(request.events)
        context.set_trailing_metadata(((SERVER_TIME, str(time.time_ns() // 1000 + self.ahead_us)),))
        churn = CHURN if pb.CHURN in request.predict else None
        return pb.SendResponse(answers=[pb.Answer(event_id=one, outcome=pb.ACCEPTED, churn=churn) for one in ids])
