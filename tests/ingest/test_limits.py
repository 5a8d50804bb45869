"""Each limit of the gateway holds at the limit and refuses one more; those of fields are in tests/core/events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import httpx
import orjson
import pytest

from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.admission import Admission, Overloaded
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving, serving_all

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

MOST_BYTES = 10_000
ROW = {"event_id": "e", "event_name": "n", "event_timestamp": 1_800_000_000_000_000, "user_pseudo_id": "p"}


def of_bytes(size: int) -> pb.SendRequest:
    empty = pb.SendRequest(events=[an_event("e", user_id="x" * 5_000)]).ByteSize()
    request = pb.SendRequest(events=[an_event("e", user_id="x" * (5_000 + size - empty))])
    assert request.ByteSize() == size
    return request


def body_of_bytes(size: int) -> bytes:
    return orjson.dumps(ROW).ljust(size)


async def test_a_message_may_have_its_limit_and_not_a_byte_more(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    limited = settings.model_copy(update={"max_message_bytes": MOST_BYTES})
    async with serving(limited, broker) as address, grpc.aio.insecure_channel(address) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.Send(of_bytes(MOST_BYTES + 1))
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not broker.published
        response = await stub.Send(of_bytes(MOST_BYTES))

    assert [answer.outcome for answer in response.answers] == [pb.ACCEPTED]


async def test_a_body_may_have_its_limit_and_not_a_byte_more(settings: GatewaySettings, broker: MemoryBroker) -> None:
    limited = settings.model_copy(update={"max_message_bytes": MOST_BYTES, "http_listen": "127.0.0.1:0"})
    async with serving_all(limited, broker) as at, httpx.AsyncClient(base_url=f"http://{at.http}") as http:
        refused = await http.post("/v1/events", content=body_of_bytes(MOST_BYTES + 1))
        assert (refused.status_code, broker.published) == (413, [])
        taken = await http.post("/v1/events", content=body_of_bytes(MOST_BYTES))

    assert taken.json()["answers"] == [{"event_id": "e", "outcome": "ACCEPTED"}]


def test_calls_may_fill_the_bytes_under_way_and_not_a_byte_more() -> None:
    admission = Admission(MOST_BYTES, max_wait_s=1, behind_s=lambda: 0.0)

    with admission.admit(MOST_BYTES - 1), admission.admit(1), pytest.raises(Overloaded), admission.admit(1):
        pass
    with admission.admit(MOST_BYTES):
        assert admission.inflight_bytes == MOST_BYTES
    assert admission.turned_away == 1


def test_a_call_may_wait_as_long_as_the_limit_and_no_longer() -> None:
    behind_s = 3.0
    admission = Admission(MOST_BYTES, max_wait_s=3.0, behind_s=lambda: behind_s)

    with admission.admit(1):
        pass
    behind_s = 3.001
    with pytest.raises(Overloaded), admission.admit(1):
        pass
    assert admission.turned_away == 1
