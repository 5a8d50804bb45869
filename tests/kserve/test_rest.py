"""The REST application without a process around it."""

from __future__ import annotations

import httpx

from questline_kserve.repository import Plane, Repository
from questline_kserve.rest import application


async def test_a_probe_before_the_version_is_loaded_is_no_error_of_the_server() -> None:
    """Or each look of a cluster would leave a stack in the log, in which one looks for why a model was refused."""
    transport = httpx.ASGITransport(application(Plane(Repository())))
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        answer = await client.get("/v2/health/ready")

    assert (answer.status_code, answer.json()) == (503, {"error": "Server is not ready."})
