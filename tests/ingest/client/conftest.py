from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from questline_ingest.client.testing import FakeGateway


@pytest.fixture
def queue_file(tmp_path: Path) -> Path:
    return tmp_path / "client" / "queue"


@pytest.fixture
async def fake() -> AsyncIterator[FakeGateway]:
    async with FakeGateway().running() as gateway:
        yield gateway
