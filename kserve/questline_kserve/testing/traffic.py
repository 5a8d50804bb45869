"""Steady traffic from outside on one serving process, by REST and by gRPC."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import httpx
import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_kserve.testing.process import ServingProcess

EVENTS = 3.0
"""What each request asks about."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered."""

    asked_at: float
    """When the request was sent, by `time.monotonic`."""
    revision: str
    value: float
    lower_bound: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """What became of all requests so far."""

    answers: list[Answer] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)


@contextmanager
def traffic_on(serving: ServingProcess) -> Iterator[Traffic]:
    """Ask without a pause by REST and by gRPC until the block ends; each of the two ends at its first failure."""
    traffic, stop = Traffic(), threading.Event()

    def ask(stream: Iterator[Answer]) -> None:
        try:
            while not stop.is_set():
                traffic.answers.append(next(stream))
        except (httpx.HTTPError, grpc.RpcError) as failure:
            traffic.failures.append(failure)

    threads = [threading.Thread(target=ask, args=(stream,)) for stream in (_by_rest(serving), _by_grpc(serving))]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _by_rest(serving: ServingProcess) -> Iterator[Answer]:
    url, body = f"{serving.rest_url}/v1/models/spend:predict", {"instances": [{"events": EVENTS}]}
    with httpx.Client(timeout=30) as client:
        while True:
            asked_at = time.monotonic()
            answer = client.post(url, json=body).raise_for_status().json()
            (prediction,) = answer["predictions"]
            yield Answer(asked_at, answer["model_version"], prediction["value"], prediction["lower_bound"])


def _by_grpc(serving: ServingProcess) -> Iterator[Answer]:
    request = pb.ModelInferRequest(model_name="spend", raw_input_contents=[np.float32(EVENTS).tobytes()])
    request.inputs.add(name="events", datatype="FP32", shape=[1])
    for output in ("value", "lower_bound"):
        request.outputs.add(name=output)
    with grpc.insecure_channel(serving.grpc_address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        while True:
            asked_at = time.monotonic()
            response = stub.ModelInfer(request, timeout=30)
            value, lower_bound = (np.frombuffer(raw, np.float32).item() for raw in response.raw_output_contents)
            yield Answer(asked_at, response.model_version, value, lower_bound)
