"""Ask the spend model over the V2 protocol, within a time that the caller gives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from math import isfinite

import grpc

from questline_ingest.open_inference import INFER, BadAnswer, ModelUnavailable, Row, read_numbers, write_request
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from questline_ingest.verdicts import Spend

MODEL = "spend"
OUTPUTS = ("value", "lower_bound", "upper_bound", "probability")

REASONS = {grpc.StatusCode.DEADLINE_EXCEEDED: "timeout", grpc.StatusCode.UNAVAILABLE: "unreachable"}

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    # The default waits up to two minutes before it looks again for a model server that was restarted.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)

DROPPED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""How a question ends whose server goes away: the connection broke, or the server cancels what it has not begun."""
AGAIN_AFTER_S = (0.05, 0.15, 0.5, 0.5)
"""Waits before a dropped question is asked again."""


class OpenInferenceSpend:
    """The spend model behind a V2 gRPC server.

    Behind the address of a named version there may be several servers. What one of them drops because it goes away is
    asked again, which changes nothing. gRPC's own retries are not enough: they spare a question over 256 KiB, and one
    whose answer had begun.
    """

    def __init__(self, channel: grpc.aio.Channel, *, model: str = MODEL, version: str = "") -> None:
        self._name, self._version = model, version
        self._waits_s = AGAIN_AFTER_S if version else ()
        self._infer: grpc.aio.UnaryUnaryMultiCallable[ModelInferRequest, ModelInferResponse] = channel.unary_unary(
            INFER,
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelInferResponse.FromString,
        )

    async def ask(self, rows: Sequence[Row], *, timeout_s: float) -> list[Spend]:
        """Predict every row in one request.

        Raises:
            ModelUnavailable: reason timeout, unreachable, model_error or bad_answer.
        """
        try:
            request = write_request(self._name, rows)
            request.model_version = self._version
            response = await self._answer(request, timeout_s)
            numbers = read_numbers(response, OUTPUTS, rows=len(rows))
        except grpc.aio.AioRpcError as error:
            detail = f"{error.code().name}: {error.details()}"
            raise ModelUnavailable(MODEL, REASONS.get(error.code(), "model_error"), detail) from None
        except BadAnswer as error:
            raise ModelUnavailable(MODEL, "bad_answer", str(error)) from None
        if not all(isfinite(number) for row in numbers for number in row):
            raise ModelUnavailable(MODEL, "bad_answer", "a value is not finite")
        return [
            Spend(value=v, lower_bound=low, upper_bound=high, probability=p, revision=response.model_version)
            for v, low, high, p in numbers
        ]

    async def _answer(self, request: ModelInferRequest, timeout_s: float) -> ModelInferResponse:
        until = time.monotonic() + timeout_s
        for wait_s in self._waits_s:
            try:
                return await self._infer(request, timeout=until - time.monotonic())
            except grpc.aio.AioRpcError as error:
                if error.code() not in DROPPED:
                    raise
            await asyncio.sleep(wait_s)
        return await self._infer(request, timeout=until - time.monotonic())
