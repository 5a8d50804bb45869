from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving


async def send(address: str, trusted: bytes, own: tuple[bytes, bytes] | None = None) -> pb.SendResponse:
    key, chain = own or (None, None)
    credentials = grpc.ssl_channel_credentials(trusted, key, chain)
    target = f"localhost:{address.rpartition(':')[2]}"
    async with grpc.aio.secure_channel(target, credentials) as channel:
        answer: pb.SendResponse = await IngestStub(channel).Send(pb.SendRequest(events=[an_event()]), timeout=5)
        return answer


async def test_a_replaced_certificate_is_taken_without_a_restart(
    settings: GatewaySettings, broker: MemoryBroker, certify: Callable[[], tuple[Path, Path]]
) -> None:
    certificate, key = certify()
    async with serving(settings.model_copy(update={"tls_certificate": certificate, "tls_key": key}), broker) as address:
        before = certificate.read_bytes()
        assert (await send(address, before)).answers[0].outcome == pb.ACCEPTED
        certify()
        assert (await send(address, certificate.read_bytes())).answers[0].outcome == pb.ACCEPTED
        with pytest.raises(grpc.aio.AioRpcError):
            await send(address, before)


async def test_with_an_authority_a_client_without_certificate_is_not_served(
    settings: GatewaySettings, broker: MemoryBroker, certify: Callable[[], tuple[Path, Path]]
) -> None:
    certificate, key = certify()
    mutual = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": certificate}
    async with serving(settings.model_copy(update=mutual), broker) as address:
        trusted = certificate.read_bytes()
        assert (await send(address, trusted, (key.read_bytes(), trusted))).answers[0].outcome == pb.ACCEPTED
        with pytest.raises(grpc.aio.AioRpcError):
            await send(address, trusted)
