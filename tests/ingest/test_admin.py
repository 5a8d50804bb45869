from __future__ import annotations

import asyncio

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from questline_core.errors import BrokerFull, NotReady
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving_all


async def samples(admin: str) -> dict[tuple[str, ...], float]:
    async with httpx.AsyncClient(base_url=f"http://{admin}") as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def ready(admin: str) -> tuple[int, list[str]]:
    async with httpx.AsyncClient(base_url=f"http://{admin}") as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["why"]


async def test_metrics_tell_outcomes_reasons_commits_and_what_models_did(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    patient = settings.model_copy(update={"spend_timeout_s": 5.0})
    async with serving_all(patient, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        stub = IngestStub(channel)
        await stub.Send(
            pb.SendRequest(events=[an_event("a"), an_event("a"), an_event(event_name="")], predict=[pb.SPEND])
        )
        broker.failure = BrokerFull("the spool", "full", retry_after_s=1)
        await stub.Send(pb.SendRequest(events=[an_event("b")]))
        told = await samples(at.admin)

    outcomes = ("accepted", "duplicate", "rejected", "refused")
    assert [told["questline_gateway_events_total", outcome] for outcome in outcomes] == [1, 1, 1, 1]
    assert told["questline_gateway_problems_total", "missing"] == 1
    assert told["questline_gateway_problems_total", "spool_full"] == 1
    assert told["questline_gateway_commit_seconds_count",] == 1
    assert told["questline_gateway_commit_messages_sum",] == 2
    assert told["questline_gateway_stored_bytes_total",] == sum(len(message.data) for message in broker.published)
    assert told["questline_gateway_model_seconds_count", "spend", "ok", "v1"] == 1
    assert told["questline_gateway_model_rows_sum", "spend"] == 2


async def test_a_call_that_is_turned_away_unread_is_counted(settings: GatewaySettings, broker: MemoryBroker) -> None:
    """Its events are unknown, so no counter of events tells of it."""
    small = settings.model_copy(update={"max_inflight_bytes": 10})
    async with serving_all(small, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED"):
            await IngestStub(channel).Send(pb.SendRequest(events=[an_event()]))
        told = await samples(at.admin)

    assert told["questline_gateway_turned_away_total",] == 1
    assert told["questline_gateway_events_total", "refused"] == 0


async def test_a_gateway_that_cannot_store_says_so_until_it_can(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        stub = IngestStub(channel)
        assert await ready(at.admin) == (200, [])
        broker.failure = BrokerFull("the spool", "the disk is full", retry_after_s=1)
        await stub.Send(pb.SendRequest(events=[an_event()]))
        status, (why,) = await ready(at.admin)
        broker.failure = None
        await stub.Send(pb.SendRequest(events=[an_event()]))
        after = await ready(at.admin)

    assert status == 503
    assert "the disk is full" in why
    assert after == (200, [])


async def test_a_gateway_that_drains_is_alive_but_not_ready(settings: GatewaySettings, broker: MemoryBroker) -> None:
    running = serving_all(settings.model_copy(update={"notice_s": 0.5}), broker)
    at = await running.__aenter__()
    stopping = asyncio.ensure_future(running.__aexit__(None, None, None))
    await asyncio.sleep(0.1)
    status, (why,) = await ready(at.admin)
    async with httpx.AsyncClient(base_url=f"http://{at.admin}") as client:
        assert (await client.get("/healthz")).json() == {"alive": True}
    await stopping

    assert status == 503
    assert "draining" in why


async def test_an_admin_address_in_use_is_named_with_its_setting(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    async with serving_all(settings, broker) as at:
        with pytest.raises(
            NotReady, match=rf"cannot listen on {at.admin} \(Address already in use\);.*QUESTLINE_ADMIN_LISTEN"
        ):
            async with serving_all(settings.model_copy(update={"admin_listen": at.admin}), MemoryBroker()):
                pass
