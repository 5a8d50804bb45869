"""What the spend model answers over the V2 protocol."""

from __future__ import annotations

from math import isfinite

import grpc

from questline_ingest.open_inference import BadAnswer, OpenInference, read_numbers
from questline_ingest.pb.open_inference_pb2 import ModelInferResponse
from questline_ingest.verdicts import Spend

MODEL = "spend"
OUTPUTS = ("value", "lower_bound", "upper_bound", "probability")


def spend_behind(channel: grpc.aio.Channel, *, model: str = MODEL, version: str = "") -> OpenInference[Spend]:
    """Give the spend model that a V2 gRPC server has under this name, or one version of it."""
    return OpenInference(channel, _read, model=model, version=version)


def _read(response: ModelInferResponse, rows: int) -> list[Spend]:
    numbers = read_numbers(response, OUTPUTS, rows=rows)
    if not all(isfinite(number) for row in numbers for number in row):
        raise BadAnswer("a value is not finite")
    return [
        Spend(value=v, lower_bound=low, upper_bound=high, probability=p, revision=response.model_version)
        for v, low, high, p in numbers
    ]
