"""The gRPC service: convert, call, convert."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import grpc
import structlog

from questline_core.errors import QuestlineError
from questline_ingest.admission import Admission, Overloaded
from questline_ingest.auth.gate import Gate, NotAllowed, RateLimited
from questline_ingest.convert import lone_event, read_batch, write_answers, write_turned_away
from questline_ingest.gateway import Begun, Budget, Gateway
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.status import NEUTRAL, SERVER_TIME, STATUS, trailing_metadata
from questline_ingest.together import Alike, Together
from questline_ingest.tracing import traceparent

log = structlog.get_logger()

SERVICE = pb.DESCRIPTOR.services_by_name["Ingest"].full_name

_SHARE_FOR_PREDICTIONS = 0.8
"""Of the caller's remaining time; the rest is for the answer's way back."""

_ANSWERS_WAITING = 256
"""Requests of one stream that are worked on at once; the client's window fills when there are more."""

_REASONS = {Overloaded: "overloaded", RateLimited: "rate_limited", NotAllowed: "not_allowed"}

_Begun = Begun | asyncio.Future[bytes]
"""A request whose answer is waited for."""

Context = grpc.aio.ServicerContext[bytes, bytes]


class IngestService:
    """`questline.ingest.v1.Ingest` over a gateway. Handlers get bytes: nothing is parsed twice."""

    def __init__(self, gateway: Gateway, admission: Admission, gate: Gate, *, longest: Budget) -> None:
        self._gateway, self._admission, self._gate, self._longest = gateway, admission, gate, longest
        self._together = Together(gateway, most=gateway.max_batch_events)
        self._streams: set[asyncio.Task[None]] = set()
        self._leaving = False

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Register the methods: what cannot be parsed gets a sentence."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Send": grpc.unary_unary_rpc_method_handler(self.send),
                "Stream": grpc.stream_stream_rpc_method_handler(self.stream),
            },
        )

    async def send(self, raw: bytes, context: Context) -> bytes:
        """Answer one `Send` call; unknown errors are logged here, once, and leave with a neutral text."""
        try:
            answer = await self._answer(self._begin(raw, _Shown(context), self._budget(context)))
        except QuestlineError as error:
            return _failed(context, error)
        except Exception:
            log.exception("call failed", bytes=len(raw))
            return _ended(context, grpc.StatusCode.INTERNAL, NEUTRAL)
        context.set_trailing_metadata(((SERVER_TIME, str(time.time_ns() // 1000)),))
        return answer

    async def stream(self, _requests: AsyncIterator[bytes], context: Context) -> None:
        """Answer the requests of a `Stream` in their order; many are worked on at once."""
        answers: asyncio.Queue[bytes | _Begun | None] = asyncio.Queue(_ANSWERS_WAITING)
        writing = asyncio.create_task(self._write(answers, context))
        reading = asyncio.create_task(self._read(answers, context))
        self._streams.add(reading)
        try:
            if self._leaving:
                reading.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.shield(reading)
            await answers.put(None)
            await writing
        finally:
            self._streams.discard(reading)
            reading.cancel()
            writing.cancel()

    def leave(self) -> None:
        """Read no more from streams: they end after what was read is answered, and clients open new ones elsewhere."""
        self._leaving = True
        for reading in self._streams:
            reading.cancel()

    async def _read(self, answers: asyncio.Queue[bytes | _Begun | None], context: Context) -> None:
        shown = _Shown(context)
        while isinstance(raw := await context.read(), bytes):
            try:
                begun: bytes | _Begun = self._begin(raw, shown, self._longest)
            except Exception as error:  # noqa: BLE001 - the stream goes on whatever the request is
                begun = _turned_away(error)
            await answers.put(begun)

    async def _write(self, answers: asyncio.Queue[bytes | _Begun | None], context: Context) -> None:
        while (begun := await answers.get()) is not None:
            await context.write(begun if isinstance(begun, bytes) else await self._finished(begun))

    async def _finished(self, begun: _Begun) -> bytes:
        try:
            return await self._answer(begun)
        except Exception as error:  # noqa: BLE001 - as above
            return _turned_away(error)

    async def _answer(self, begun: _Begun) -> bytes:
        return write_answers(*await self._gateway.answered(begun)) if isinstance(begun, Begun) else await begun

    def _begin(self, raw: bytes, shown: _Shown, budget: Budget) -> _Begun:
        """Do what needs no waiting, in no task of its own."""
        # Asked for every request of a stream: a key that is revoked ends at once.
        caller = self._gate.caller(shown.key, peer=shown.peer)
        size = len(raw)
        self._admission.enter(size)
        leave = partial(self._admission.leave, size)
        try:
            if lone := lone_event(raw):
                self._gate.spend(caller, 1)
                return self._together.add(lone, Alike(caller, shown.trace, budget), leave)
            batch = read_batch(raw)
            self._gate.spend(caller, len(batch.events))
            return self._gateway.begin(batch, trace=shown.trace, budget=budget, caller=caller, let_go=leave)
        except BaseException:
            leave()
            raise

    def _budget(self, context: Context) -> Budget:
        remaining: float | None = context.time_remaining()
        if remaining is None:
            return self._longest
        most_s = max(0.0, remaining * _SHARE_FOR_PREDICTIONS)
        return Budget(spend_s=min(self._longest.spend_s, most_s), churn_s=min(self._longest.churn_s, most_s))


class _Shown:
    """What a call shows beside its requests, read once for all of them."""

    def __init__(self, context: Context) -> None:
        told = dict(context.invocation_metadata() or ())
        self.key = str(told.get("x-api-key") or told.get("authorization") or "")
        self.trace = traceparent(told.get("traceparent"))
        self.peer = context.peer


def _turned_away(error: Exception) -> bytes:
    """Answer a request of a stream that has no answers; unknown errors are logged here, once."""
    if isinstance(error, QuestlineError):
        reason = _REASONS.get(type(error), "malformed")
        return write_turned_away(reason, str(error), retry_after_s=getattr(error, "retry_after_s", None))
    log.error("request of a stream failed", exc_info=error)
    return write_turned_away("internal", NEUTRAL, retry_after_s=1.0)


def _failed(context: Context, error: QuestlineError) -> bytes:
    code = STATUS.get(type(error))
    if code is None:
        log.error("call failed", error=str(error))
        return _ended(context, grpc.StatusCode.INTERNAL, NEUTRAL)
    context.set_trailing_metadata(trailing_metadata(error))
    return _ended(context, code, str(error))


def _ended(context: Context, code: grpc.StatusCode, details: str) -> bytes:
    """Set the status, and give what is sent in place of an answer: nothing.

    `context.abort` would leave a cycle that holds the request until the collector comes by, which is rarely.
    """
    context.set_code(code)
    context.set_details(details)
    return b""
