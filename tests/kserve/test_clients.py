"""Other people's clients get equal answers by every protocol."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from questline_kserve.testing.clients import answers_of_all_clients
from questline_kserve.testing.process import ServingProcess

pytestmark = pytest.mark.timeout(240)


@pytest.mark.skipif(not find_spec("tritonclient"), reason="tritonclient is not installed")
def test_all_clients_get_equal_answers(serving: ServingProcess, store: Path) -> None:
    assert serving.deploy(store / "v1").ready

    answers = answers_of_all_clients(f"127.0.0.1:{serving.rest_port}", serving.grpc_address)

    assert set(answers) == {"HTTP, V1", "HTTP, V2", "kserve, gRPC", "triton, REST", "triton, gRPC"}
    for client, answer in answers.items():
        assert answer == {
            "revision": "v1",
            "value": [1003.0, 4.0],
            "lower_bound": [1.0, 1.0],
            "upper_bound": [2.0, 2.0],
            "probability": [0.25, 0.25],
        }, client
