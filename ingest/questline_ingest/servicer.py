"""The gRPC service: convert, call, convert."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import grpc
import structlog

from questline_core.errors import QuestlineError
from questline_ingest.admission import Admission, Overloaded
from questline_ingest.auth.gate import Gate, NotAllowed, RateLimited
from questline_ingest.convert import read_batch, write_answers, write_turned_away
from questline_ingest.gateway import Budget, Gateway
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.status import NEUTRAL, SERVER_TIME, STATUS, trailing_metadata
from questline_ingest.tracing import traceparent

log = structlog.get_logger()

SERVICE = pb.DESCRIPTOR.services_by_name["Ingest"].full_name

_SHARE_FOR_PREDICTIONS = 0.8
"""Of the caller's remaining time; the rest is for the answer's way back."""

_ANSWERS_WAITING = 256
"""Requests of one stream that are worked on at once; the client's window fills when there are more."""

_REASONS = {Overloaded: "overloaded", RateLimited: "rate_limited", NotAllowed: "not_allowed"}

Context = grpc.aio.ServicerContext[bytes, bytes]


class IngestService:
    """`questline.ingest.v1.Ingest` over a gateway. Handlers get bytes: nothing is parsed twice."""

    def __init__(self, gateway: Gateway, admission: Admission, gate: Gate, *, longest: Budget) -> None:
        self._gateway, self._admission, self._gate, self._longest = gateway, admission, gate, longest
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
            answer = await self._answer(raw, context, self._budget(context))
        except QuestlineError as error:
            return _failed(context, error)
        except Exception:
            log.exception("call failed", bytes=len(raw))
            return _ended(context, grpc.StatusCode.INTERNAL, NEUTRAL)
        context.set_trailing_metadata(((SERVER_TIME, str(time.time_ns() // 1000)),))
        return answer

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """Answer the requests of a `Stream` in their order; many are worked on at once."""
        answers: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(_ANSWERS_WAITING)
        writing = asyncio.create_task(_write(answers, context))
        reading = asyncio.create_task(self._read(answers, requests, context))
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

    async def _read(
        self, answers: asyncio.Queue[asyncio.Task[bytes] | None], requests: AsyncIterator[bytes], context: Context
    ) -> None:
        async for raw in requests:
            await answers.put(asyncio.create_task(self._answer_always(raw, context)))

    async def _answer_always(self, raw: bytes, context: Context) -> bytes:
        """Answer one request of a stream, which goes on whatever the request is."""
        try:
            return await self._answer(raw, context, self._longest)
        except QuestlineError as error:
            reason = _REASONS.get(type(error), "malformed")
            return write_turned_away(reason, str(error), retry_after_s=getattr(error, "retry_after_s", None))
        except Exception:
            log.exception("request of a stream failed", bytes=len(raw))
            return write_turned_away("internal", NEUTRAL, retry_after_s=1.0)

    async def _answer(self, raw: bytes, context: Context, budget: Budget) -> bytes:
        # Asked for every request of a stream: a key that is revoked ends at once.
        told = dict(context.invocation_metadata() or ())
        caller = self._gate.caller(_key(told), peer=context.peer)
        with self._admission.admit(len(raw)):
            batch = read_batch(raw)
            self._gate.spend(caller, len(batch.events))
            answered = await self._gateway.accept(
                batch, trace=traceparent(told.get("traceparent")), budget=budget, caller=caller
            )
            return write_answers(*answered)

    def _budget(self, context: Context) -> Budget:
        remaining: float | None = context.time_remaining()
        if remaining is None:
            return self._longest
        most_s = max(0.0, remaining * _SHARE_FOR_PREDICTIONS)
        return Budget(spend_s=min(self._longest.spend_s, most_s), churn_s=min(self._longest.churn_s, most_s))


async def _write(answers: asyncio.Queue[asyncio.Task[bytes] | None], context: Context) -> None:
    while (answer := await answers.get()) is not None:
        await context.write(await answer)


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


Told = Mapping[str, str | bytes]


def _key(told: Told) -> str:
    return str(told.get("x-api-key") or told.get("authorization") or "")
