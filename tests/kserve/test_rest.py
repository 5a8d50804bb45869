"""The REST application without a process around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import numpy as np
from numpy.typing import NDArray

from questline_kserve.repository import Plane, Repository
from questline_kserve.rest import application
from questline_kserve.version import Column


async def test_a_probe_before_the_version_is_loaded_is_no_error_of_the_server() -> None:
    """Or each look of a cluster would leave a stack in the log, in which one looks for why a model was refused."""
    transport = httpx.ASGITransport(application(Plane(Repository())))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        answer = await client.get("/v2/health/ready")

    assert (answer.status_code, answer.json()) == (503, {"error": "Server is not ready."})


@dataclass
class Sometimes:
    """Answers while it works."""

    works: bool = True
    revision: str = "v1"
    platform: str = "test"
    inputs: Mapping[str, str] = field(default_factory=lambda: {"a": "FP32", "text": "BYTES"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"a": "FP32"})

    def predict(self, columns: Mapping[str, Column]) -> Mapping[str, Column]:
        if not self.works:
            raise RuntimeError("broken")
        return {"a": columns["a"]}

    def predict_packed(self, numbers: NDArray[np.float32], texts: Column) -> Mapping[str, Column]:
        raise NotImplementedError


async def test_it_lives_as_long_as_every_model_gives_an_answer() -> None:
    plane, one = Plane(Repository()), Sometimes()
    plane.repository.swap("m", one)
    transport = httpx.ASGITransport(application(plane), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        before = await client.get("/v2/health/live")
        one.works = False
        after = await client.get("/v2/health/live")

    assert (before.status_code, before.json()) == (200, {"live": True})
    assert after.status_code == 500
