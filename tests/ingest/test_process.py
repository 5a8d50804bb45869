from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from questline_core.broker.port import EVENT, open_broker
from questline_core.pb.telemetry_pb2 import Event
from questline_core.processes import read_ready
from questline_core.stack.children import ask
from questline_core.stack.supervisor import questline_command
from questline_ingest.client import Client
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.testing import GatewayProcess, an_event

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub


def spooled(home: Path) -> Counter[str]:
    """Take everything out of the spool, and count each event id."""
    found: Counter[str] = Counter()
    with closing(open_broker(f"spool:{home / 'spool'}")) as broker:
        while deliveries := broker.pull(max_messages=5000, lease_s=60):
            found.update(delivery.message.attributes["id"] for delivery in deliveries)
            broker.ack([delivery.ack_id for delivery in deliveries])
    return found


class Acknowledged:
    """Ids that the gateway has answered for."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, _events: Sequence[Event], answers: Sequence[pb.Answer], _attempt: int) -> None:
        self.ids += [answer.event_id for answer in answers if answer.outcome in (pb.ACCEPTED, pb.DUPLICATE)]

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 30
        while len(self.ids) < count:
            assert time.monotonic() < deadline, f"only {len(self.ids)} of {count} events were acknowledged"
            time.sleep(0.002)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_gateway_that_ends_under_load_loses_nothing_and_stores_nothing_twice(
    start_gateway: Callable[[], GatewayProcess], tmp_path: Path, number: int
) -> None:
    enough, sent, acknowledged = threading.Event(), list[str](), Acknowledged()

    def events() -> Iterator[Event]:
        while not enough.is_set():
            sent.append(f"e{len(sent)}")
            yield an_event(sent[-1])

    first = start_gateway()
    with Client(first.listen, batch_size=100) as client, ThreadPoolExecutor(1) as beside:
        sending = beside.submit(client.send_all, events(), on_answers=acknowledged)
        acknowledged.wait_for(2000)
        first.end(number)
        at_the_end = list(acknowledged.ids)
        start_gateway()
        acknowledged.wait_for(len(at_the_end) + 1000)
        enough.set()
        report = sending.result(timeout=60)
        resent = client.send_all(an_event(event_id) for event_id in at_the_end)

    assert (report.sent, report.accepted) == (len(sent), len(sent))
    assert resent.duplicate == resent.sent == len(at_the_end)
    assert spooled(tmp_path) == Counter(sent)


def test_sigterm_fails_no_call_of_a_client_that_heeds_health(
    start_gateway: Callable[[], GatewayProcess], tmp_path: Path
) -> None:
    gateway, leave, answered = start_gateway(), threading.Event(), list[str]()

    def load(worker: int) -> None:
        with grpc.insecure_channel(gateway.listen) as channel:
            stub = IngestStub(channel)
            for number in range(100_000):
                if leave.is_set():
                    return
                batch = [an_event(f"{worker}-{number}-{i}") for i in range(20)]
                answers = stub.Send(pb.SendRequest(events=batch), timeout=10).answers  # no retry: a failure is raised
                answered.extend(answer.event_id for answer in answers if answer.outcome == pb.ACCEPTED)

    def heed() -> None:
        with grpc.insecure_channel(gateway.listen) as channel:
            for state in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                if state.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                    leave.set()
                    return

    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(heed), *(pool.submit(load, worker) for worker in range(4))]
        time.sleep(1.0)
        code = gateway.end(signal.SIGTERM, timeout_s=20)
        for future in futures:
            future.result(timeout=20)

    assert code == 0
    assert len(answered) > 100
    assert spooled(tmp_path) == Counter(answered)


async def test_many_calls_at_once_over_one_connection_are_all_answered(
    start_gateway: Callable[[], GatewayProcess],
) -> None:
    gateway = await asyncio.to_thread(start_gateway)
    async with grpc.aio.insecure_channel(gateway.listen) as channel:
        stub: IngestAsyncStub = IngestStub(channel)
        room = asyncio.Semaphore(98)

        async def call() -> int:
            async with room:
                return (await stub.Send(pb.SendRequest(events=[an_event()]))).answers[0].outcome

        await call()
        outcomes = await asyncio.gather(*(call() for _ in range(2_000)))

    assert set(outcomes) == {pb.ACCEPTED}


def test_a_ready_gateway_tells_its_address_and_counts_until_it_ends(
    start_gateway: Callable[[], GatewayProcess], tmp_path: Path
) -> None:
    gateway = start_gateway()
    with Client(gateway.listen) as client:
        client.send_all([an_event("a"), an_event("a"), an_event(event_name="")])

    deadline = time.monotonic() + 10
    while (facts := read_ready(tmp_path / "run", "gateway") or {})["accepted"] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {name: facts[name] for name in ("listen", "accepted", "duplicate", "rejected", "refused")} == {
        "listen": gateway.listen,
        "accepted": 1,
        "duplicate": 1,
        "rejected": 1,
        "refused": 0,
    }
    assert gateway.end(signal.SIGINT) == 0
    assert read_ready(tmp_path / "run", "gateway") is None
    last = json.loads(gateway.log.read_text(encoding="utf-8").splitlines()[-1])
    assert (last["event"], last["accepted"], last["rejected"]) == ("gateway stopped", 1, 1)


def test_ask_prints_what_the_gateway_answers_of_both_models(
    start_gateway: Callable[[], GatewayProcess], tmp_path: Path
) -> None:
    gateway = start_gateway()

    printed = ask(
        *("gateway", "ask", "--player", "ann", "--player", "bo", "--address", gateway.listen, "--json"),
        environment={},
    )

    assert printed["report"]["accepted"] == 2
    for name, one in zip(("ann", "bo"), printed["answers"], strict=True):
        assert (one["player"], one["outcome"]) == (name, "ACCEPTED")
        assert (one["spend"]["source"], one["churn"]["source"]) == ("DEFAULT", "DEFAULT")
        assert (one["churn"]["probability"], one["churn"]["is_prior"]) == (0.5, True)
    with closing(open_broker(f"spool:{tmp_path / 'spool'}")) as broker:
        pulled = [one.message for one in broker.pull(max_messages=9, lease_s=9)]
    # The answers themselves are noted soon afterwards, perhaps by now.
    stored = [Event.FromString(message.data) for message in pulled if message.attributes["kind"] == EVENT]
    assert [(event.user_pseudo_id, event.is_test) for event in stored] == [("ann", True), ("bo", True)]


def test_ask_ends_badly_when_an_event_is_rejected(start_gateway: Callable[[], GatewayProcess]) -> None:
    told = subprocess.run(
        questline_command(*("gateway", "ask", "--player", "ann", "--player", "", "--address", start_gateway().listen)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.returncode == 1
    assert told.stdout.startswith("ann  ACCEPTED")
    assert "REJECTED: user_pseudo_id is missing" in told.stdout


def test_ask_takes_one_model_alone_and_says_where_an_answer_is_from(
    start_gateway: Callable[[], GatewayProcess],
) -> None:
    address = start_gateway().listen

    printed = subprocess.run(
        questline_command("gateway", "ask", "--player", "ann", "--predict", "churn", "--address", address),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert printed.startswith("ann  ACCEPTED  leaves: 50.0% (the prior)  [DEFAULT: ")
    assert "spends" not in printed


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"QUESTLINE_LISTEN": "nowhere"}, "QUESTLINE_LISTEN: 'nowhere' is no address; write host:port"),
        (
            {"QUESTLINE_HTTP_ORIGINS": "https://play.example"},
            'as JSON and is none: error parsing value for field "http_origins"',
        ),
        ({"QUESTLINE_HOME": "/proc/questline"}, "/proc/questline"),
        ({"QUESTLINE_BROKER": "kafka:x"}, "broker address 'kafka:x' is not understood; use one of pubsub:…, spool:"),
    ],
)
def test_a_gateway_that_cannot_start_says_why_without_a_stack_trace(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    environment = {"QUESTLINE_HOME": str(tmp_path), "QUESTLINE_LISTEN": "127.0.0.1:0", **settings}
    ended = subprocess.run(
        questline_command("gateway", "serve"), env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert ended.stderr.startswith("questline: ")
    assert "Traceback" not in ended.stderr
