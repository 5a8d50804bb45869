"""The gRPC service: convert, call, convert."""

from __future__ import annotations

import re
import time
from typing import NoReturn

import grpc
import structlog

from questline_core.errors import QuestlineError
from questline_ingest.admission import Admission
from questline_ingest.convert import read_batch, write_answers
from questline_ingest.gateway import Gateway
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.status import NEUTRAL, SERVER_TIME, STATUS, trailing_metadata

log = structlog.get_logger()

SERVICE = pb.DESCRIPTOR.services_by_name["Ingest"].full_name

_SHARE_FOR_PREDICTIONS = 0.8
"""Of the caller's remaining time; the rest is for the answer's way back."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Context = grpc.aio.ServicerContext[bytes, bytes]


class IngestService:
    """`questline.ingest.v1.Ingest` over a gateway."""

    def __init__(self, gateway: Gateway, admission: Admission, *, spend_timeout_s: float) -> None:
        self._gateway, self._admission, self._spend_timeout_s = gateway, admission, spend_timeout_s

    async def send(self, raw: bytes, context: Context) -> bytes:
        """Answer one `Send` call; unknown errors are logged here, once, and leave with a neutral text."""
        try:
            with self._admission.admit(len(raw)):
                return await self._send(raw, context)
        except QuestlineError as error:
            await _abort(context, error)
        except Exception:
            log.exception("call failed", peer=context.peer(), bytes=len(raw))
            await context.abort(grpc.StatusCode.INTERNAL, NEUTRAL)

    async def _send(self, raw: bytes, context: Context) -> bytes:
        batch = read_batch(raw)
        verdicts, spends = await self._gateway.accept(batch, trace=_trace(context), budget_s=self._budget_s(context))
        context.set_trailing_metadata(((SERVER_TIME, str(time.time_ns() // 1000)),))
        return write_answers(verdicts, spends)

    def _budget_s(self, context: Context) -> float:
        remaining: float | None = context.time_remaining()
        if remaining is None:
            return self._spend_timeout_s
        return max(0.0, min(self._spend_timeout_s, remaining * _SHARE_FOR_PREDICTIONS))

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """Register `Send` on bytes: what cannot be parsed gets a sentence, and nothing is parsed twice."""
        return grpc.method_handlers_generic_handler(SERVICE, {"Send": grpc.unary_unary_rpc_method_handler(self.send)})


async def _abort(context: Context, error: QuestlineError) -> NoReturn:
    code = STATUS.get(type(error))
    if code is None:
        log.error("call failed", error=str(error))
        await context.abort(grpc.StatusCode.INTERNAL, NEUTRAL)
    await context.abort(code, str(error), trailing_metadata(error))


def _trace(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "traceparent" and isinstance(value, str) and _TRACEPARENT.fullmatch(value):
            return value
    return ""
