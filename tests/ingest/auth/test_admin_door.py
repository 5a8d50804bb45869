"""The door for operators: probes answer everyone and say little; the rest is for keys of the role admin."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import httpx
import pytest
from structlog.testing import capture_logs

from questline_core.errors import BadInput, BrokerFull
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.auth import Keys, require_closed
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving_all

OPEN = "127.1:0"
"""Loopback in an old spelling, which the gateway does not know as such: it takes the door for one that others reach."""


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json")


@pytest.fixture
def closed(settings: GatewaySettings, keys: Keys) -> GatewaySettings:
    return settings.model_copy(update={"keys": keys.path, "admin_listen": OPEN})


@pytest.fixture
async def door(closed: GatewaySettings, broker: MemoryBroker) -> AsyncIterator[httpx.AsyncClient]:
    async with serving_all(closed, broker) as at, httpx.AsyncClient(base_url=f"http://{at.admin}") as client:
        yield client


def as_bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
async def test_only_an_admin_key_is_told_what_operators_want_to_know(
    door: httpx.AsyncClient, keys: Keys, path: str
) -> None:
    (_, game), (_, admin) = keys.create("game"), keys.create("game", role="admin")
    with capture_logs() as logs:
        refused = [await door.get(path, headers=as_bearer(key)) for key in (game, "nonsense", "ql-1.x")]
        told = [await door.get(path, headers=headers) for headers in (as_bearer(admin), {"x-api-key": admin})]

    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert {answer.headers["www-authenticate"] for answer in refused} == {"Bearer"}
    assert not any("questline_" in answer.text or "ready" in answer.text for answer in refused)
    assert {entry["needs"] for entry in logs if entry["event"] == "call refused"} == {"admin"}
    assert [answer.status_code for answer in told] == [200, 200]
    assert all("questline_gateway" in answer.text or '"why":[]' in answer.text for answer in told)


async def test_metrics_need_a_key_and_probes_none(door: httpx.AsyncClient) -> None:
    assert (await door.get("/metrics")).status_code == 401
    assert (await door.get("/healthz")).json() == {"alive": True}
    assert (await door.get("/readyz")).json() == {"ready": True}


async def test_a_probe_is_not_told_why_and_an_admin_is(
    closed: GatewaySettings, broker: MemoryBroker, keys: Keys
) -> None:
    (_, game), (_, admin) = keys.create("game"), keys.create("game", role="admin")
    broker.failure = BrokerFull("the spool", "the disk is full", retry_after_s=1)
    async with (
        serving_all(closed, broker) as at,
        grpc.aio.insecure_channel(at.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{at.admin}") as client,
    ):
        await IngestStub(channel).Send(pb.SendRequest(events=[an_event()]), metadata=(("x-api-key", game),))
        probe, operator = await client.get("/readyz"), await client.get("/readyz", headers=as_bearer(admin))

    assert (probe.status_code, probe.json()) == (503, {"ready": False})
    assert operator.status_code == 503
    assert "the disk is full" in operator.json()["why"][0]


async def test_an_admin_key_that_ended_is_told_nothing(door: httpx.AsyncClient, keys: Keys) -> None:
    key, text = keys.create("game", role="admin")
    Keys(keys.path).end(key.key_id)

    assert (await door.get("/metrics", headers=as_bearer(text))).status_code == 401


async def test_on_loopback_it_asks_for_no_key(closed: GatewaySettings, broker: MemoryBroker) -> None:
    near = closed.model_copy(update={"admin_listen": "127.0.0.1:0"})
    async with serving_all(near, broker) as at, httpx.AsyncClient(base_url=f"http://{at.admin}") as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/readyz")).json() == {"ready": True, "why": []}


async def test_with_tls_others_reach_it_by_tls_only_and_without_a_certificate_of_their_own(
    closed: GatewaySettings, broker: MemoryBroker, certify: Callable[[], tuple[Path, Path]]
) -> None:
    chain, key = certify()
    mutual = closed.model_copy(update={"tls_certificate": chain, "tls_key": key, "tls_client_ca": chain})
    async with serving_all(mutual, broker) as at:
        base = f"localhost:{at.admin.rpartition(':')[2]}"
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=chain)) as client:
            assert (await client.get(f"https://{base}/readyz")).json() == {"ready": True}
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(f"http://{base}/readyz")


@pytest.mark.parametrize("listen", ["0.0.0.0:9090", "[::]:9090", "10.0.0.1:1", OPEN])
def test_it_is_not_opened_to_strangers_without_tls_and_keys(listen: str, tmp_path: Path) -> None:
    tls = {"tls_certificate": tmp_path / "c", "tls_key": tmp_path / "k"}
    with pytest.raises(BadInput, match=r"QUESTLINE_ADMIN_LISTEN=.*QUESTLINE_TLS_CERTIFICATE"):
        require_closed(GatewaySettings.read(admin_listen=listen, keys=tmp_path / "keys"))
    with pytest.raises(BadInput, match=r"QUESTLINE_ADMIN_LISTEN=.*keys create --admin"):
        require_closed(GatewaySettings.read(admin_listen=listen, tls_client_ca=tmp_path / "ca", **tls))
    require_closed(GatewaySettings.read(admin_listen=listen, keys=tmp_path / "keys", **tls))
    require_closed(GatewaySettings.read(admin_listen=listen, tls_ends_before=True))
