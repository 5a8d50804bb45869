"""Ask the spend model over the V2 protocol, within a time that the caller gives."""

from __future__ import annotations

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


class OpenInferenceSpend:
    """The spend model behind a V2 gRPC server."""

    def __init__(self, channel: grpc.aio.Channel, *, model: str = MODEL, version: str = "") -> None:
        self._name, self._version = model, version
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
            response = await self._infer(request, timeout=timeout_s)
            numbers = read_numbers(response, OUTPUTS, rows=len(rows))
        except grpc.aio.AioRpcError as error:
            raise ModelUnavailable(MODEL, REASONS.get(error.code(), "model_error"), error.details() or "") from None
        except BadAnswer as error:
            raise ModelUnavailable(MODEL, "bad_answer", str(error)) from None
        if not all(isfinite(number) for row in numbers for number in row):
            raise ModelUnavailable(MODEL, "bad_answer", "a value is not finite")
        return [
            Spend(value=v, lower_bound=low, upper_bound=high, probability=p, revision=response.model_version)
            for v, low, high, p in numbers
        ]
