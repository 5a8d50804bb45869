"""Requests of one event that come at once are one batch, and yet each has its own answer, key and trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pytest

from questline_core.broker.port import Message
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.auth.keys import ANYONE, Caller
from questline_ingest.convert import Lone
from questline_ingest.gateway import Budget, Gateway
from questline_ingest.metrics import Metrics
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.server import opened_gateway
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event
from questline_ingest.together import Alike, Together

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

BUDGET = Budget(spend_s=1, churn_s=1)
PLAIN = Alike(ANYONE, "", BUDGET)


@pytest.fixture
async def gateway(settings: GatewaySettings, broker: MemoryBroker) -> AsyncIterator[Gateway]:
    async with opened_gateway(settings, broker, Metrics()) as gateway:
        yield gateway


async def answers_of(
    together: Together, events: Sequence[Event | bytes], alike: Alike = PLAIN, models: Sequence[int] = ()
) -> list[pb.Answer | None]:
    """Send all in one turn of the loop; None for a request that failed."""
    payloads = [one if isinstance(one, bytes) else one.SerializeToString() for one in events]
    asked = [together.add(Lone(payload, models), alike, lambda: None) for payload in payloads]
    given = await asyncio.gather(*asked, return_exceptions=True)
    return [None if isinstance(one, BaseException) else pb.SendResponse.FromString(one).answers[0] for one in given]


async def test_each_request_gets_the_answer_of_its_own_event(gateway: Gateway, broker: MemoryBroker) -> None:
    broken, unreadable = an_event("broken", event_name=""), b"\x0a\x05x"
    sent: list[Event | bytes] = [an_event("a"), broken, an_event("a"), unreadable, an_event("b")]

    answers = await answers_of(Together(gateway, most=100), sent)

    outcomes = [(one.event_id, pb.Outcome.Name(one.outcome)) for one in answers if one]
    assert outcomes == [
        ("a", "ACCEPTED"),
        ("broken", "REJECTED"),
        ("a", "DUPLICATE"),
        ("", "REJECTED"),
        ("b", "ACCEPTED"),
    ]
    assert (gateway.counts.accepted, gateway.counts.duplicate, gateway.counts.rejected) == (2, 1, 2)


async def test_no_batch_is_larger_than_the_gateway_takes(gateway: Gateway, broker: MemoryBroker) -> None:
    gateway.max_batch_events = 2

    answers = await answers_of(Together(gateway, most=2), [an_event() for _ in range(7)])

    assert [one and one.outcome for one in answers] == [pb.ACCEPTED] * 7


async def test_keys_of_two_titles_do_not_mix(gateway: Gateway, broker: MemoryBroker) -> None:
    together = Together(gateway, most=100)
    one, two = (Alike(Caller(title=title, key_id=title), "", BUDGET) for title in ("one", "two"))

    await asyncio.gather(answers_of(together, [an_event("a")], one), answers_of(together, [an_event("b")], two))

    assert {e.event_id: e.title for e in (Event.FromString(message.data) for message in broker.published)} == {
        "a": "one",
        "b": "two",
    }


async def test_an_event_that_breaks_the_gateway_fails_alone(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, let_go = gateway.begin, list[str]()

    def fails_on_b(batch: object, **options: object) -> object:
        if any(event.event_id == "b" for event in batch.events):  # type: ignore[attr-defined]
            raise RuntimeError
        return begin(batch, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(gateway, "begin", fails_on_b)
    together = Together(gateway, most=100)
    asked = {
        name: together.add(Lone(an_event(name).SerializeToString(), ()), PLAIN, partial(let_go.append, name))
        for name in "abc"
    }
    given = dict(zip(asked, await asyncio.gather(*asked.values(), return_exceptions=True), strict=True))

    assert {name for name, one in given.items() if isinstance(one, RuntimeError)} == {"b"}
    assert sorted(let_go) == ["a", "b", "c"]


async def test_each_request_is_told_of_its_own_player(gateway: Gateway) -> None:
    sent = [an_event(f"e{number}", user_pseudo_id=f"p{number}") for number in range(3)]

    answers = await answers_of(Together(gateway, most=100), sent, models=(pb.SPEND, pb.CHURN))

    assert [one and (one.event_id, one.HasField("spend"), one.HasField("churn")) for one in answers] == [
        (event.event_id, True, True) for event in sent
    ]


async def test_single_calls_that_are_abandoned_do_not_hold_the_others(
    stub: IngestAsyncStub, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, publish = asyncio.Event(), asyncio.Event(), broker.publish

    async def held(messages: Sequence[Message]) -> None:
        begun.set()
        await go_on.wait()
        await publish(messages)

    monkeypatch.setattr(broker, "publish", held)
    long = {"user_id": "x" * 200}
    abandoned = stub.Send(pb.SendRequest(events=[an_event("gone", **long)]))
    others = [stub.Send(pb.SendRequest(events=[an_event(f"kept-{number}", **long)])) for number in range(5)]
    await begun.wait()
    abandoned.cancel()
    go_on.set()

    responses = await asyncio.gather(*others)

    assert [one.answers[0].outcome for one in responses] == [pb.ACCEPTED] * 5
    with pytest.raises(asyncio.CancelledError):
        await abandoned
