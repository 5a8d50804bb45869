"""Ask a model by Triton's clients: `python -m questline_kserve.testing.triton REST GRPC` prints the answers as JSON.

A program of its own, because Triton's messages and kserve's have one name, and one process can hold one kind only.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http

from questline_kserve.testing.clients import COUNTRIES, EVENTS, MODEL, OUTPUTS, TIMEOUT_S


def ask(kind: Any, address: str, **timeouts: float) -> dict[str, Any]:
    """Give the revision and the columns of an answer by one of the two clients."""
    events, country = kind.InferInput("events", [2], "FP32"), kind.InferInput("country", [2], "BYTES")
    events.set_data_from_numpy(np.array(EVENTS, np.float32))
    country.set_data_from_numpy(np.array(COUNTRIES, object))
    with kind.InferenceServerClient(address, **timeouts) as client:
        answer = client.infer(MODEL, [events, country])
    told = answer.get_response()
    revision = told["model_version"] if isinstance(told, dict) else told.model_version
    return {"revision": revision, **{name: answer.as_numpy(name).tolist() for name in OUTPUTS}}


if __name__ == "__main__":
    rest, grpc = sys.argv[1:]
    both = {
        "triton, REST": ask(tritonclient.http, rest, connection_timeout=TIMEOUT_S, network_timeout=TIMEOUT_S),
        "triton, gRPC": ask(tritonclient.grpc, grpc),
    }
    sys.stdout.write(json.dumps(both))
