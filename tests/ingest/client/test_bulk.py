from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import pairwise

import pytest

from questline_core.errors import BadInput, BrokerFull, NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_core.stack.children import free_ports
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.client import MAX_BATCH_BYTES, Client, GaveUp, SendReport
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving, until


class Calls:
    """Records what `on_answers` is told."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.attempts: list[int] = []
        self.at: list[float] = []
        self.acknowledged: list[str] = []

    def __call__(self, events: Sequence[Event], answers: Sequence[pb.Answer], attempt: int) -> None:
        assert [event.event_id for event in events] == [answer.event_id for answer in answers]
        self.sizes.append(len(events))
        self.attempts.append(attempt)
        self.at.append(time.monotonic())
        self.acknowledged += [answer.event_id for answer in answers if answer.outcome != pb.REFUSED]


def events(count: int) -> list[Event]:
    return [an_event(f"e{number}") for number in range(count)]


async def send(client: Client, what: Sequence[Event], **options: object) -> SendReport:
    def run() -> SendReport:
        with client:
            return client.send_all(what, **options)  # type: ignore[arg-type]

    return await asyncio.to_thread(run)


async def test_what_is_sent_is_accepted_a_duplicate_or_rejected(address: str, broker: MemoryBroker) -> None:
    what = [*events(1200), an_event("e3"), an_event("bad", event_name="")]
    calls, seen = Calls(), list[SendReport]()

    report = await send(Client(address), what, on_answers=calls, on_progress=seen.append)

    assert report == SendReport(sent=1202, accepted=1200, duplicate=1, rejected=1)
    assert len(broker.published) == 1201
    assert sorted(calls.sizes) == [202, 500, 500]
    assert sorted(calls.acknowledged) == sorted(event.event_id for event in what)
    assert set(calls.attempts) == {1}
    assert seen[-1] == report
    assert [one.sent for one in seen] == sorted(one.sent for one in seen)


async def test_nothing_to_send_is_reported_as_nothing(address: str) -> None:
    assert await send(Client(address), []) == SendReport()


async def test_predictions_reach_the_caller(address: str) -> None:
    answers: list[pb.Answer] = []

    def keep(_events: Sequence[Event], answered: Sequence[pb.Answer], _attempt: int) -> None:
        answers.extend(answered)

    await send(Client(address), events(3), predict=[pb.SPEND], on_answers=keep)

    assert [answer.spend.value for answer in answers] == [0, 1, 2]


async def test_a_batch_is_closed_before_it_is_too_large_for_a_call(address: str) -> None:
    large = [an_event(f"e{number}", user_id="x" * (MAX_BATCH_BYTES // 2)) for number in range(3)]
    calls = Calls()

    report = await send(Client(address), large, on_answers=calls)

    assert report.sent == report.rejected == 3
    assert calls.sizes == [1, 1, 1]


async def test_events_are_taken_only_as_fast_as_they_are_answered(address: str, broker: MemoryBroker) -> None:
    broker.slow_s = 0.05
    taken, most_ahead = 0, 0

    def source() -> Iterator[Event]:
        nonlocal taken, most_ahead
        for event in events(200):
            taken += 1
            most_ahead = max(most_ahead, taken - len(broker.published))
            yield event

    client = Client(address, batch_size=10, in_flight=3)
    report = await asyncio.to_thread(lambda: client.__enter__().send_all(source()))
    client.__exit__()

    assert report.accepted == 200
    assert most_ahead <= 3 * 10 + 2 * 10


async def test_refused_events_are_sent_again_until_they_are_taken(address: str, broker: MemoryBroker) -> None:
    broker.failure = BrokerFull("the spool", "full", retry_after_s=0.3)
    calls = Calls()
    sending = asyncio.ensure_future(send(Client(address), events(5), on_answers=calls))
    await until(lambda: len(calls.at) == 2)
    broker.failure = None

    report = await sending

    assert (report.sent, report.accepted, report.refused) == (5, 5, 10)
    assert calls.attempts == [1, 2, 3]
    assert min(b - a for a, b in pairwise(calls.at)) >= 0.3  # as the gateway asked
    assert sorted(calls.acknowledged) == ["e0", "e1", "e2", "e3", "e4"]


async def test_calls_that_were_turned_away_are_sent_again_after_the_time_asked_for(
    settings: GatewaySettings, broker: MemoryBroker
) -> None:
    broker.slow_s = 0.05
    calls, what = Calls(), [an_event(user_id="x" * 8000) for _ in range(6)]
    async with serving(settings.model_copy(update={"max_inflight_bytes": 10_000}), broker) as address:
        report = await send(Client(address, batch_size=1, in_flight=3), what, on_answers=calls)

    assert report == SendReport(sent=6, accepted=6)
    assert max(calls.attempts) > 1
    assert calls.at[-1] - calls.at[0] >= 0.2  # as the gateway asked


async def test_only_what_was_refused_is_sent_again(address: str, broker: MemoryBroker) -> None:
    await send(Client(address), events(2))
    broker.failure = BrokerFull("the spool", "full", retry_after_s=0.2)
    calls = Calls()
    sending = asyncio.ensure_future(send(Client(address), events(5), on_answers=calls))
    await until(lambda: len(calls.at) == 1)
    broker.failure = None

    report = await sending

    assert (report.sent, report.accepted, report.duplicate, report.recovered) == (5, 3, 2, 0)
    assert calls.sizes == [5, 3]


async def test_a_lost_answer_is_recovered_by_a_resend(address: str, broker: MemoryBroker) -> None:
    broker.slow_s = 0.4
    what = [*events(3), an_event("e0")]

    report = await send(Client(address, call_timeout_s=0.2), what)

    assert report == SendReport(sent=4, accepted=3, duplicate=1, recovered=3)
    assert len(broker.published) == 3


async def test_a_copy_in_a_call_whose_answer_was_lost_is_still_a_duplicate(address: str, broker: MemoryBroker) -> None:
    def slow_down(_: SendReport) -> None:
        broker.slow_s = 0.4

    client = Client(address, batch_size=2, in_flight=1, call_timeout_s=0.2)
    report = await send(client, [*events(3), an_event("e0")], on_progress=slow_down)

    assert report == SendReport(sent=4, accepted=3, duplicate=1, recovered=1)


async def test_a_client_outlives_a_gateway_that_is_away(settings: GatewaySettings, broker: MemoryBroker) -> None:
    at = settings.model_copy(update={"listen": f"127.0.0.1:{free_ports(1)[0]}"})
    went, what = asyncio.Event(), iter(events(40))
    loop = asyncio.get_running_loop()

    def source() -> Iterator[Event]:
        for number, event in enumerate(what):
            if number == 20:
                asyncio.run_coroutine_threadsafe(went.wait(), loop).result()
            yield event

    client = Client(at.listen, batch_size=5, in_flight=1)
    async with serving(at, broker):
        sending = asyncio.ensure_future(asyncio.to_thread(lambda: client.__enter__().send_all(source())))
        await until(lambda: len(broker.published) >= 15)
    went.set()
    await asyncio.sleep(0.5)
    assert not sending.done()
    async with serving(at, broker):
        report = await sending
    client.__exit__()

    assert (report.sent, report.accepted) == (40, 40)
    assert len({message.attributes["id"] for message in broker.published}) == len(broker.published) == 40


async def test_a_client_without_a_gateway_says_how_to_start_one() -> None:
    client = Client(f"127.0.0.1:{free_ports(1)[0]}", connect_timeout_s=0.3)

    with pytest.raises(NotReady, match=r"no gateway answers at 127\.0\.0\.1:.*questline gateway serve"):
        await send(client, events(1))


async def test_a_client_gives_up_on_a_gateway_that_takes_nothing(address: str, broker: MemoryBroker) -> None:
    await send(Client(address), events(1))
    broker.failure = BrokerFull("the spool", "the disk is full", retry_after_s=0.1)

    with pytest.raises(
        GaveUp, match=r"took nothing for 0.5 s \(.*the disk is full.*1 events are acknowledged"
    ) as gave_up:
        await send(Client(address, give_up_after_s=0.5), events(3))

    assert astuple(gave_up.value.report)[:4] == (1, 0, 1, 0)
    assert gave_up.value.report.refused > 2


async def test_what_the_gateway_can_never_take_is_said_at_once(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with serving(settings.model_copy(update={"max_batch_events": 10}), broker) as address:
        with pytest.raises(BadInput, match="the batch has 11 events and the gateway takes 10"):
            await send(Client(address), events(11))


async def test_a_batch_above_the_gateways_limit_is_split(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with serving(settings.model_copy(update={"max_message_bytes": 5000}), broker) as address:
        report = await send(Client(address), [an_event(f"e{n}", user_id="x" * 1000) for n in range(20)])
        with pytest.raises(BadInput, match=r"event 'large' takes 6,\d+ bytes, more than the gateway"):
            await send(Client(address), [an_event("large", user_id="x" * 6000)])

    assert report == SendReport(sent=20, accepted=20)


def test_reports_of_several_runs_add_up() -> None:
    one = SendReport(sent=3, accepted=1, duplicate=1, rejected=1, refused=2, recovered=1)

    assert one + one == SendReport(sent=6, accepted=2, duplicate=2, rejected=2, refused=4, recovered=2)
