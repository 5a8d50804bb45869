from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from questline_core.errors import BadInput, NotReady
from questline_ingest.client import Access, Client, GameClient, Tls
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.testing import an_event


async def accept(request: pb.SendRequest, context: grpc.aio.ServicerContext) -> pb.SendResponse:  # type: ignore[type-arg]
    metadata = dict(context.invocation_metadata() or ())
    if metadata.get("authorization") != "Bearer k1":
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the API key is not known")
    return pb.SendResponse(answers=[pb.Answer(event_id=one.event_id, outcome=pb.ACCEPTED) for one in request.events])


@pytest.fixture
def pems(tmp_path: Path) -> Path:
    """One certificate for both sides, signed by itself."""
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*made.split(), "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    return tmp_path


@pytest.fixture
async def secure(pems: Path) -> AsyncIterator[str]:
    """The address of a gateway that asks for TLS on both sides, and for a key."""
    key, certificate = (pems / "key.pem").read_bytes(), (pems / "cert.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([(key, certificate)], certificate, require_client_auth=True)
    handler = grpc.unary_unary_rpc_method_handler(
        accept,
        request_deserializer=pb.SendRequest.FromString,
        response_serializer=pb.SendResponse.SerializeToString,
    )
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("questline.ingest.v1.Ingest", {"Send": handler})
    server.add_generic_rpc_handlers((service,))
    port = server.add_secure_port("localhost:0", credentials)
    await server.start()
    yield f"localhost:{port}"
    await server.stop(None)


def accepted(address: str, access: Access) -> int:
    with Client(address, access=access, connect_timeout_s=2) as client:
        return client.send_all([an_event()]).accepted


def tls(pems: Path) -> Tls:
    return Tls(ca_file=pems / "cert.pem", certificate_file=pems / "cert.pem", key_file=pems / "key.pem")


async def test_events_travel_over_tls_of_both_sides_with_a_key(secure: str, pems: Path) -> None:
    assert await asyncio.to_thread(accepted, secure, Access(api_key="k1", tls=tls(pems))) == 1


async def test_a_wrong_key_is_told_at_once(secure: str, pems: Path) -> None:
    with pytest.raises(BadInput, match="cannot take this: the API key is not known"):
        await asyncio.to_thread(accepted, secure, Access(api_key="k2", tls=tls(pems)))


@pytest.mark.parametrize("with_ca", [True, False])
async def test_without_the_right_certificates_there_is_no_connection(secure: str, pems: Path, with_ca: bool) -> None:
    access = Access(api_key="k1", tls=Tls(ca_file=pems / "cert.pem" if with_ca else None))

    with pytest.raises((NotReady, BadInput)):
        await asyncio.to_thread(accepted, secure, access)


def test_a_key_never_travels_in_the_clear_to_another_machine(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"in the clear to game\.example:7777; give tls"):
        GameClient("game.example:7777", tmp_path / "queue", access=Access(api_key="secret")).__enter__()
    assert "secret" not in repr(Access(api_key="secret"))


def test_files_of_tls_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*ca\.pem \(No such file"):
        Tls(ca_file=tmp_path / "ca.pem").credentials()
    with pytest.raises(BadInput, match="go together"):
        Tls(certificate_file=tmp_path / "c.pem").credentials()
