from __future__ import annotations

import datetime as dt
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving


def certify(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


async def send(address: str, trusted: bytes, own: tuple[bytes, bytes] | None = None) -> pb.SendResponse:
    key, chain = own or (None, None)
    credentials = grpc.ssl_channel_credentials(trusted, key, chain)
    target = f"localhost:{address.rpartition(':')[2]}"
    async with grpc.aio.secure_channel(target, credentials) as channel:
        answer: pb.SendResponse = await IngestStub(channel).Send(pb.SendRequest(events=[an_event()]), timeout=5)
        return answer


async def test_a_replaced_certificate_is_taken_without_a_restart(
    settings: GatewaySettings, broker: MemoryBroker, tmp_path: Path
) -> None:
    certificate, key = certify(tmp_path)
    async with serving(settings.model_copy(update={"tls_certificate": certificate, "tls_key": key}), broker) as address:
        before = certificate.read_bytes()
        assert (await send(address, before)).answers[0].outcome == pb.ACCEPTED
        certify(tmp_path)
        assert (await send(address, certificate.read_bytes())).answers[0].outcome == pb.ACCEPTED
        with pytest.raises(grpc.aio.AioRpcError):
            await send(address, before)


async def test_with_an_authority_a_client_without_certificate_is_not_served(
    settings: GatewaySettings, broker: MemoryBroker, tmp_path: Path
) -> None:
    certificate, key = certify(tmp_path)
    mutual = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": certificate}
    async with serving(settings.model_copy(update=mutual), broker) as address:
        trusted = certificate.read_bytes()
        assert (await send(address, trusted, (key.read_bytes(), trusted))).answers[0].outcome == pb.ACCEPTED
        with pytest.raises(grpc.aio.AioRpcError):
            await send(address, trusted)
