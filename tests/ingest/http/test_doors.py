from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.server import Addresses
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import serving_all

DEEP = b'{"events": [' + b'{"what":' * 900 + b"1" + b"}" * 900 + b"]}"


@pytest.fixture
async def doors(settings: GatewaySettings, broker: MemoryBroker) -> AsyncIterator[Addresses]:
    opened = {"http_listen": "127.0.0.1:0", "tcp_listen": "127.0.0.1:0", "max_message_bytes": 20_000}
    async with serving_all(settings.model_copy(update=opened), broker) as at:
        yield at


def a_row(**fields: Any) -> dict[str, Any]:
    usual = {"event_id": "e1", "event_name": "level_up", "event_timestamp": 1_800_000_000_000_001}
    return usual | {"user_pseudo_id": "ann"} | fields


async def post(doors: Addresses, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"http://{doors.http}/v1/events", content=body)


async def tcp(doors: Addresses, body: bytes) -> bytes:
    host, _, port = doors.tcp.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(body)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("number", [-8048149271648124879, "-8048149271648124879"])
async def test_whole_numbers_are_exact(doors: Addresses, broker: MemoryBroker, number: object) -> None:
    params = [{"key": "firebase_screen_id", "value": {"int_value": number}}]

    answered = await post(doors, orjson.dumps(a_row(event_params=params)))

    assert answered.json() == {"answers": [{"event_id": "e1", "outcome": "ACCEPTED"}]}
    event = Event.FromString(broker.published[0].data)
    assert event.event_params[0].value.int_value == -8048149271648124879


async def test_a_bad_event_does_not_hold_the_others_and_a_model_answers(doors: Addresses) -> None:
    body = {"events": [a_row(), a_row(event_id="e2", event_timestamp=1.5), 7], "predict": ["spend"]}

    first, second, third = (await post(doors, orjson.dumps(body))).json()["answers"]

    assert (first["outcome"], first["spend"]["source"]) == ("ACCEPTED", "FRESH")
    assert second["problem"]["field"] == "event_timestamp"
    assert third["outcome"] == "REJECTED"


async def test_an_answer_has_the_words_of_the_proto(doors: Addresses) -> None:
    body = {"events": [a_row(), a_row(event_id="")], "predict": ["spend", "churn"]}

    stored, rejected = (await post(doors, orjson.dumps(body))).json()["answers"]

    assert list(stored["spend"]) == list(pb.SpendPrediction.DESCRIPTOR.fields_by_name)
    assert list(stored["churn"]) == list(pb.ChurnPrediction.DESCRIPTOR.fields_by_name)
    assert list(rejected["problem"]) == list(pb.Problem.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize(
    ("row", "event_id", "said"),
    [
        (a_row(event_timestamp="noon"), "e1", "event_timestamp is 'noon'"),
        (
            a_row(level=3),
            "e1",
            "level is no column of the event contract (docs/events.md); send it as one of event_params",
        ),
        (a_row(event_id=7), "", "event_id is 7"),
        (None, "", "the event is null; send an object"),
    ],
)
async def test_an_event_that_cannot_be_read_keeps_its_id(
    doors: Addresses, broker: MemoryBroker, row: object, event_id: str, said: str
) -> None:
    [answer] = (await post(doors, orjson.dumps([row]))).json()["answers"]

    assert (answer["event_id"], answer["outcome"]) == (event_id, "REJECTED")
    assert said in answer["problem"]["message"]
    assert Reject.FromString(broker.published[0].data).event_id == event_id


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/event", {}, 404),
        ("POST", "/v1/events/", {}, 404),
        ("GET", "/v1/events", {}, 405),
        ("POST", "/v1/events", {"content-encoding": "gzip"}, 415),
    ],
)
async def test_a_call_that_misses_the_door_is_told_what_to_do(
    doors: Addresses, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient() as client:
        answered = await client.request(method, f"http://{doors.http}{path}", headers=headers, content=b"{}")

    assert (answered.status_code, answered.headers["content-type"]) == (status, "application/problem+json")
    assert answered.json()["status"] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"events": [1], "predict": [[]]}', 400),
        (b'"\xff"', 400),
        (b"[" * 5000, 400),
        (DEEP, 200),
        (b"null", 200),
        (b'[{"event_id": "\\ud800"}]', 400),
        (b"[1e999]", 400),
        (b" " * 20_000, 400),
        (b" " * 20_001, 413),
    ],
)
async def test_no_body_is_an_error_of_the_server(doors: Addresses, body: bytes, status: int) -> None:
    answered = await post(doors, body)

    assert answered.status_code == status
    assert (answered.headers["content-type"] == "application/problem+json") is (status != 200)


async def test_a_web_page_may_call_and_is_shown_when_to_come_again(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    origin = "https://play.example"
    opened = {"http_listen": "127.0.0.1:0", "http_origins": (origin,)}
    asks = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    async with serving_all(settings.model_copy(update=opened), broker) as at, httpx.AsyncClient() as client:
        url = f"http://{at.http}/v1/events"
        before = await client.options(url, headers=asks)
        answered = await client.post(url, headers={"origin": origin}, content=orjson.dumps(a_row()))

    assert (before.status_code, answered.status_code) == (200, 200)
    assert answered.headers["access-control-allow-origin"] == origin
    assert answered.headers["access-control-expose-headers"] == "retry-after"


@pytest.mark.parametrize("behind", [b"", b"\n", b'{"more": 1}'])
async def test_a_tcp_client_gets_its_spend(doors: Addresses, broker: MemoryBroker, behind: bytes) -> None:
    row = a_row(event_timestamp=7, ml="spend")
    del row["event_id"]

    answer = orjson.loads(await tcp(doors, orjson.dumps(row) + behind))

    assert answer == {"value": 0.0, "lower_bound": -1.0, "upper_bound": 1.0}
    assert Event.FromString(broker.published[0].data).is_test


async def test_a_tcp_client_gets_its_churn_in_four_texts(doors: Addresses) -> None:
    answer = orjson.loads(await tcp(doors, orjson.dumps(a_row(ml="churn"))))

    assert answer["user_pseudo_id"] == "ann"
    assert {type(value) for value in answer.values()} == {str}
    assert len(answer) == 4


async def test_a_tcp_event_without_model_is_stored_and_the_connection_closed(
    doors: Addresses, broker: MemoryBroker
) -> None:
    assert await tcp(doors, orjson.dumps(a_row(ml=3))) == b""
    assert len(broker.published) == 1
