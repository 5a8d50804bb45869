from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from questline_core.stack.children import free_ports
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import GatewayProcess, ModelServer, serving

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    server = ModelServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def settings(tmp_path: Path, model: ModelServer) -> GatewaySettings:
    return GatewaySettings(home=tmp_path, listen="127.0.0.1:0", notice_s=0, spend_address=model.address, served_share=0)


@pytest.fixture
async def address(settings: GatewaySettings, broker: MemoryBroker) -> AsyncIterator[str]:
    async with serving(settings, broker) as at:
        yield at


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address) as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> IngestAsyncStub:
    return IngestStub(channel)


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[[], GatewayProcess]]:
    started: list[GatewayProcess] = []
    listen, nobody = (f"127.0.0.1:{port}" for port in free_ports(2))

    def start() -> GatewayProcess:
        started.append(GatewayProcess(tmp_path, listen, QUESTLINE_SPEND_ADDRESS=nobody, QUESTLINE_CHURN_ADDRESS=nobody))
        started[-1].wait_ready()
        return started[-1]

    yield start
    for process in started:
        process.close()
