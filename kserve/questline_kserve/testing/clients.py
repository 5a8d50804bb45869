"""Ask a model the same by all protocols and by other people's clients: kserve's, Triton's, and plain HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import httpx
import numpy as np

MODEL, TIMEOUT_S = "spend", 60.0
EVENTS, COUNTRIES = (3.0, 4.0), ("NL", "BE")
OUTPUTS = ("value", "lower_bound", "upper_bound", "probability")

Answers = dict[str, dict[str, Any]]
"""Client and protocol -> the revision and the outputs by name."""


def answers_of_all_clients(rest_address: str, grpc_address: str) -> Answers:
    """Ask at two addresses, host:port each."""
    triton = subprocess.run(
        [sys.executable, "-m", "questline_kserve.testing.triton", rest_address, grpc_address],
        capture_output=True,
        check=True,
        timeout=2 * TIMEOUT_S,
    )
    return {
        "HTTP, V1": _v1(rest_address),
        "HTTP, V2": _v2(rest_address),
        "kserve, gRPC": asyncio.run(_kserve(grpc_address)),
        **json.loads(triton.stdout),
    }


def _v1(address: str) -> dict[str, Any]:
    instances = [{"events": one, "country": other} for one, other in zip(EVENTS, COUNTRIES, strict=True)]
    url = f"http://{address}/v1/models/{MODEL}:predict"
    told = httpx.post(url, json={"instances": instances}, timeout=TIMEOUT_S).raise_for_status().json()
    columns = {name: [row[name] for row in told["predictions"]] for name in OUTPUTS}
    return {"revision": told["model_version"], **columns}


def _v2(address: str) -> dict[str, Any]:
    inputs = [
        {"name": "events", "datatype": "FP32", "shape": [2], "data": EVENTS},
        {"name": "country", "datatype": "BYTES", "shape": [2], "data": COUNTRIES},
    ]
    url = f"http://{address}/v2/models/{MODEL}/infer"
    told = httpx.post(url, json={"inputs": inputs}, timeout=TIMEOUT_S).raise_for_status().json()
    return {"revision": told["model_version"], **{one["name"]: one["data"] for one in told["outputs"]}}


async def _kserve(address: str) -> dict[str, Any]:
    from kserve import InferenceGRPCClient, InferInput, InferRequest  # noqa: PLC0415 - its messages are Triton's, too

    events, country = InferInput("events", [2], "FP32"), InferInput("country", [2], "BYTES")
    events.set_data_from_numpy(np.array(EVENTS, np.float32))
    country.set_data_from_numpy(np.array(COUNTRIES, object))
    client = InferenceGRPCClient(address, timeout=int(TIMEOUT_S))
    told = await client.infer(InferRequest(MODEL, [events, country]))
    await client.close()
    return {"revision": told.model_version, **{one.name: one.as_numpy().tolist() for one in told.outputs}}
