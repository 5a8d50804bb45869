from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from questline_core.broker.spool import open_spool
from questline_core.errors import BadInput, NotReady
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.servicer import SERVICE
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

State = health_pb2.HealthCheckResponse


def ask(service: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


async def send(stub: IngestAsyncStub) -> pb.Outcome.ValueType:
    response = await stub.Send(pb.SendRequest(events=[an_event(user_id="x" * 60_000)]))
    return response.answers[0].outcome


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_a_ready_gateway_is_healthy(channel: grpc.aio.Channel, service: str) -> None:
    assert (await health_pb2_grpc.HealthStub(channel).Check(ask(service))).status == State.SERVING


async def test_the_health_of_an_unknown_service_is_not_found(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await health_pb2_grpc.HealthStub(channel).Check(ask("another.Service"))

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_that_leaves_does_not_cut_off_the_others(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving(settings, broker) as address:
        channel = grpc.aio.insecure_channel(address)
        health = health_pb2_grpc.HealthStub(channel)
        stays, leaves = health.Watch(ask("")), health.Watch(ask(""))
        assert (await stays.read()).status == (await leaves.read()).status == State.SERVING
        leaves.cancel()
        await asyncio.sleep(0.05)
        stopping = asyncio.ensure_future(stays.read())

    assert (await stopping).status == State.NOT_SERVING
    await channel.close(None)


async def test_the_health_of_the_service_follows_what_it_stores_into_and_that_of_the_process_does_not(
    settings: GatewaySettings, tmp_path: Path
) -> None:
    with closing(open_spool(str(tmp_path / "spool"), max_bytes=1 << 20)) as spool:
        async with serving(settings, spool) as address, grpc.aio.insecure_channel(address) as channel:
            stub: IngestAsyncStub = IngestStub(channel)
            health = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(ask(SERVICE))
            seen = [(await watch.read()).status]
            while await send(stub) != pb.REFUSED:
                assert spool.depth() < 1_000, "the spool has no bound"
            of_service, of_process = await health.Check(ask(SERVICE)), await health.Check(ask(""))
            told = asyncio.ensure_future(watch.read())
            while not told.done():  # trouble is forgotten after some seconds, so it goes on
                assert await send(stub) == pb.REFUSED
                await asyncio.sleep(0.05)
            seen.append(told.result().status)
            while taken := spool.pull(max_messages=1_000, lease_s=60):
                spool.ack([delivery.ack_id for delivery in taken])
            assert await send(stub) == pb.ACCEPTED
            after = await health.Check(ask(SERVICE))
            seen.append((await watch.read()).status)

    assert seen == [State.SERVING, State.NOT_SERVING, State.SERVING]
    assert (of_process.status, of_service.status, after.status) == (State.SERVING, State.NOT_SERVING, State.SERVING)


async def test_a_draining_gateway_says_so_first_and_finishes_what_it_has(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.6
    running = serving(settings.model_copy(update={"notice_s": 0.3}), broker)
    address = await running.__aenter__()
    async with grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        health = health_pb2_grpc.HealthStub(channel)
        before = asyncio.ensure_future(stub.Send(pb.SendRequest(events=[an_event("before")])))
        await asyncio.sleep(0.1)
        stopping = asyncio.ensure_future(running.__aexit__(None, None, None))
        await asyncio.sleep(0.1)
        assert (await health.Check(ask(SERVICE))).status == State.NOT_SERVING
        during_the_notice = asyncio.ensure_future(stub.Send(pb.SendRequest(events=[an_event("during")])))
        await asyncio.sleep(0.3)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.Send(pb.SendRequest(events=[an_event("after")]))
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await before).answers[0].outcome == pb.ACCEPTED
        assert (await during_the_notice).answers[0].outcome == pb.ACCEPTED
        await stopping


async def test_a_call_that_takes_longer_than_the_drain_is_stored_all_the_same(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.6
    async with serving(settings.model_copy(update={"drain_s": 0.4}), broker) as address:
        channel = grpc.aio.insecure_channel(address)
        stub: IngestAsyncStub = IngestStub(channel)
        call = asyncio.ensure_future(stub.Send(pb.SendRequest(events=[an_event("a")])))
        await asyncio.sleep(0.1)
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    await channel.close(None)

    assert [message.attributes["id"] for message in broker.published] == ["a"]


async def test_a_drain_without_calls_is_over_at_once_even_with_a_watcher(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving(settings, broker) as address:
        channel = grpc.aio.insecure_channel(address)
        watch = health_pb2_grpc.HealthStub(channel).Watch(ask(""))
        await watch.read()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    await channel.close(None)


async def test_a_port_in_use_is_named_with_its_setting(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with serving(settings, broker) as address:
        with pytest.raises(NotReady, match=f"cannot listen on {address} .*in use.*QUESTLINE_LISTEN"):
            async with serving(settings.model_copy(update={"listen": address}), MemoryBroker()):
                pass


@pytest.mark.parametrize("listen", ["7777", "localhost:", "host:99999", "fe80::1:7777", "a:b"])
def test_an_address_that_cannot_be_one_is_told_by_its_variable(listen: str) -> None:
    with pytest.raises(BadInput, match=r"QUESTLINE_LISTEN: .*write host:port"):
        GatewaySettings.read(listen=listen)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:7777", "[::1]:7777", "gateway.games:65535"])
def test_an_address_is_a_host_and_a_port(listen: str) -> None:
    assert GatewaySettings.read(listen=listen).listen == listen


def test_every_setting_that_is_wrong_is_told() -> None:
    with pytest.raises(BadInput) as failure:
        GatewaySettings.read(drain_s=-1, spend_prior={"probability": 2}, spend_address="nowhere")

    told = str(failure.value)
    assert all(name in told for name in ("QUESTLINE_DRAIN_S", "QUESTLINE_SPEND_PRIOR_PROB", "QUESTLINE_SPEND_ADDRESS"))


def test_the_prior_is_read_as_json_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTLINE_SPEND_PRIOR", '{"value": 12, "upper_bound": 150, "probability": 0.05}')

    prior = GatewaySettings.read().spend_prior

    assert (prior.value, prior.lower_bound, prior.upper_bound, prior.probability) == (12, 0, 150, 0.05)
