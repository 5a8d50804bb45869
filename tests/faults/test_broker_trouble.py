"""A broker that is away, slow, resetting or full: what is not stored is refused with advice, memory is bounded, and all arrives later."""

# ruff: noqa: T201 - the ratio is told

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc
import httpx
import psutil
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from questline_core.broker.port import Broker, open_broker
from questline_core.broker.pubsub import ensure
from questline_core.processes import read_ready
from questline_core.settings import Home
from questline_core.stack.children import free_ports
from questline_core.testing.pubsub_emulator import emulator_or_skip
from questline_core.testing.spool_bench import mounted_disk
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.server import PROCESS
from questline_ingest.servicer import SERVICE
from questline_ingest.status import PUSHBACK
from questline_ingest.testing import GatewayProcess, an_event

if TYPE_CHECKING:
    from questline_ingest.pb.ingest_pb2_grpc import IngestAsyncStub

CLIENTS, CALLS, EVENTS, EVENT_BYTES = 40, 4, 25, 8_000
INFLIGHT_BYTES = 2 << 20
"""The gateway's limit: a quarter of what the clients have on their way at once."""
GROWTH_BYTES = 64 << 20
LIMITS = {"QUESTLINE_MAX_INFLIGHT_BYTES": str(INFLIGHT_BYTES), "QUESTLINE_MAX_MESSAGE_BYTES": str(1 << 20)}
PATIENCE_S = 90.0

CONNECTIONS, _OWN = 10, (("grpc.use_local_subchannel_pool", 1),)
"""More than one, as a connection carries only so many calls at a time: the rest would wait in the client."""
NARROW_KB_PER_S, PEAK_S, OVERLOAD_S, DEADLINE_S = 1_000, 6.0, 12.0, 10.0
"""What gets through to the broker in a second is the gateway's capacity, whatever else this machine does."""


class Clients:
    """Game clients that keep each event until it is stored, and come again when they are told to."""

    def __init__(self) -> None:
        self.sent, self.told = set[str](), Counter[str]()
        self.offered_bytes = 0
        self._calls = [self._call() for _ in range(CLIENTS * CALLS)]

    def _call(self) -> pb.SendRequest:
        ids = [uuid4().hex for _ in range(EVENTS)]
        self.sent |= set(ids)
        return pb.SendRequest(events=[an_event(own, user_id="x" * EVENT_BYTES) for own in ids])

    async def work(self, address: str) -> None:
        """Send all calls, again and again until every event is stored."""
        async with grpc.aio.insecure_channel(address) as channel:
            stub: IngestAsyncStub = IngestStub(channel)
            await asyncio.gather(*(self._one(stub, self._calls[n::CLIENTS]) for n in range(CLIENTS)))

    async def _one(self, stub: IngestAsyncStub, calls: list[pb.SendRequest]) -> None:
        for request in calls:
            wait_ms = await self._send(stub, request)
            while wait_ms is not None:
                await asyncio.sleep(wait_ms / 1000)
                wait_ms = await self._send(stub, request)

    async def _send(self, stub: IngestAsyncStub, request: pb.SendRequest) -> int | None:
        """Send once; gives the advice of a gateway that did not store it. Without advice the test fails here."""
        self.offered_bytes += request.ByteSize()
        try:
            response = await stub.Send(request, timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            self.told["turned away"] += 1
            metadata: Any = error.trailing_metadata()
            return int(dict(metadata)[PUSHBACK])
        (outcome,) = {answer.outcome for answer in response.answers}  # a call is stored as a whole or not at all
        self.told[pb.Outcome.Name(outcome)] += 1
        if outcome != pb.REFUSED:
            assert outcome in {pb.ACCEPTED, pb.DUPLICATE}
            return None
        assert all(answer.problem.message for answer in response.answers)
        return min(answer.retry_after_ms for answer in response.answers) or pytest.fail("no advice")


class Watched:
    """A gateway process, its memory, and what its admin port says."""

    def __init__(self, home: Path, **settings: str) -> None:
        port, nobody = free_ports(2)
        self._home = home
        self.process = GatewayProcess(
            home, f"127.0.0.1:{port}", QUESTLINE_SPEND_ADDRESS=f"127.0.0.1:{nobody}", **settings
        )
        self.process.wait_ready()
        facts = read_ready(home / "run", PROCESS)
        assert facts
        self._process, self._admin = psutil.Process(facts["pid"]), facts["admin"]
        self.most_bytes = self.first_bytes = self._process.memory_info().rss

    async def follow(self) -> None:
        while True:
            self.most_bytes = max(self.most_bytes, self._process.memory_info().rss)
            await asyncio.sleep(0.05)

    def ready(self) -> bool:
        """Ask over HTTP and gRPC, which must agree; between the two it may have found out."""
        with grpc.insecure_channel(self.process.listen) as channel:
            while True:
                over_http = bool(httpx.get(f"http://{self._admin}/readyz", timeout=10).json()["ready"])
                told = HealthStub(channel).Check(HealthCheckRequest(service=SERVICE), timeout=10).status
                if over_http == (told == HealthCheckResponse.SERVING):
                    return over_http

    def metric(self, name: str) -> float:
        lines = httpx.get(f"http://{self._admin}/metrics", timeout=10).text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def until(met: Any, what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < give_up, f"never came: {what}"
        await asyncio.sleep(0.02)


def pulled(broker: Broker, sent: set[str]) -> Counter[str]:
    """Take what is there until every event was seen."""
    found, give_up = Counter[str](), time.monotonic() + PATIENCE_S
    while sent - found.keys() and time.monotonic() < give_up:
        deliveries = broker.pull(max_messages=500, lease_s=60)
        found.update(delivery.message.attributes["id"] for delivery in deliveries)
        broker.ack([delivery.ack_id for delivery in deliveries])
    return found


class Toxiproxy:
    """A real proxy between gateway and broker, which spoils connections on demand."""

    def __init__(self, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}"

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(method, self._api + path, json=body, timeout=10).raise_for_status()
        return json.loads(answer.content or b"null")

    @contextmanager
    def trouble(self, kind: str) -> Iterator[None]:
        """Be away, slow, resetting or narrow until the block ends."""
        if kind == "away":
            self.ask("POST", "/proxies/broker", enabled=False)
            yield
            self.ask("POST", "/proxies/broker", enabled=True)
            return
        toxic = {
            "slow": {"type": "latency", "attributes": {"latency": 2_000}},
            "resetting": {"type": "reset_peer", "attributes": {"timeout": 20}},
            "narrow": {"type": "bandwidth", "attributes": {"rate": NARROW_KB_PER_S}},
        }[kind]
        self.ask("POST", "/proxies/broker/toxics", name="trouble", stream="upstream", toxicity=1.0, **toxic)
        yield
        self.ask("DELETE", "/proxies/broker/toxics/trouble")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator_or_skip(tmp_path_factory.mktemp("emulator") / "log") as endpoint:
        yield endpoint


@pytest.fixture
def proxy(emulator: str) -> Iterator[tuple[Toxiproxy, str]]:
    """Give a proxy, and the address of the emulator behind it."""
    server = shutil.which("toxiproxy-server")
    if not server:
        pytest.skip("needs toxiproxy-server on PATH (go install github.com/Shopify/toxiproxy/v2/cmd/server)")
    api, listen = free_ports(2)
    process = subprocess.Popen([server, "-port", str(api)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        proxy, give_up = Toxiproxy(api), time.monotonic() + PATIENCE_S
        while True:
            try:
                proxy.ask("POST", "/proxies", name="broker", listen=f"127.0.0.1:{listen}", upstream=emulator)
            except httpx.TransportError:
                assert time.monotonic() < give_up, "toxiproxy does not answer"
                time.sleep(0.05)
            else:
                break
        yield proxy, f"127.0.0.1:{listen}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["away", "slow", "resetting"])
@pytest.mark.timeout(300)
async def test_while_the_broker_is_in_trouble_events_are_refused_with_advice_and_all_arrive_afterwards(
    proxy: tuple[Toxiproxy, str], emulator: str, tmp_path: Path, kind: str
) -> None:
    toxiproxy, through = proxy
    topic = f"questline/{kind}-{uuid4().hex[:6]}/{kind}-{uuid4().hex[:6]}"
    ensure(topic, endpoint=emulator)
    gateway, clients = Watched(tmp_path, QUESTLINE_BROKER=f"pubsub:{topic}?endpoint={through}", **LIMITS), Clients()
    following = asyncio.create_task(gateway.follow())
    try:
        with toxiproxy.trouble(kind):
            working = asyncio.create_task(clients.work(gateway.process.listen))
            if kind == "slow":
                await until(lambda: clients.told["ACCEPTED"] > 1, "an event that is stored in spite of all")
            else:
                await until(lambda: clients.told["REFUSED"], "a refusal")
                assert not await asyncio.to_thread(gateway.ready)
            await until(lambda: clients.told["turned away"] > CLIENTS, "calls that are turned away")
        await asyncio.wait_for(working, PATIENCE_S)
        await until(gateway.ready, "a gateway that is ready again")
        left = [gateway.metric(f"questline_gateway_{name}") for name in ("inflight_bytes", "queue_calls")]
    finally:
        following.cancel()
        gateway.process.close()
    with closing(open_broker(f"pubsub:{topic}?endpoint={emulator}")) as broker:
        found = await asyncio.to_thread(pulled, broker, clients.sent)

    assert left == [0, 0]
    assert found.keys() == clients.sent
    assert clients.offered_bytes > 10 * INFLIGHT_BYTES
    assert gateway.most_bytes - gateway.first_bytes < GROWTH_BYTES


class Goodput:
    """Clients of a gateway whose broker takes only so much: events that are acknowledged in time, and what else there was."""

    def __init__(self, listen: str) -> None:
        self._listen = listen
        self.sent, self.acknowledged, self.told = list[str](), set[str](), Counter[str]()

    async def saturate(self, seconds: float) -> float:
        """Send again as soon as there is an answer; gives calls a second that were acknowledged."""
        async with grpc.aio.insecure_channel(self._listen) as channel:
            stub: IngestAsyncStub = IngestStub(channel)
            end = time.monotonic() + seconds

            async def work() -> None:
                while time.monotonic() < end:
                    await self._send(stub)

            await asyncio.gather(*(work() for _ in range(16)))
        return self.told["ACCEPTED"] / seconds

    async def offer(self, calls_per_s: float, seconds: float) -> float:
        """Send at a rate, whatever the answers are; gives calls a second that were acknowledged."""
        before = self.told["ACCEPTED"]
        async with AsyncExitStack() as opened:
            stubs: list[IngestAsyncStub] = [
                IngestStub(await opened.enter_async_context(grpc.aio.insecure_channel(self._listen, options=_OWN)))
                for _ in range(CONNECTIONS)
            ]
            group = await opened.enter_async_context(asyncio.TaskGroup())
            began = time.monotonic()
            for number in range(int(calls_per_s * seconds)):
                await asyncio.sleep(max(0.0, began + number / calls_per_s - time.monotonic()))
                group.create_task(self._send(stubs[number % CONNECTIONS]))
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
            return (self.told["ACCEPTED"] - before) / seconds

    async def _send(self, stub: IngestAsyncStub) -> None:
        ids = [uuid4().hex for _ in range(EVENTS)]
        self.sent += ids
        try:
            response = await stub.Send(
                pb.SendRequest(events=[an_event(own, user_id="x" * 1_000) for own in ids]), timeout=DEADLINE_S
            )
        except grpc.aio.AioRpcError as error:
            self.told[f"{error.code().name} {error.details()}"[:60]] += 1
            metadata: Any = error.trailing_metadata()
            self.told["with advice"] += PUSHBACK in dict(metadata)
            return
        self.acknowledged |= {answer.event_id for answer in response.answers if answer.outcome == pb.ACCEPTED}
        self.told[pb.Outcome.Name(response.answers[0].outcome)] += 1


@pytest.mark.timeout(300)
async def test_at_twice_capacity_what_is_too_much_is_turned_away_and_the_rest_is_acknowledged_in_time(
    proxy: tuple[Toxiproxy, str], emulator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    toxiproxy, through = proxy
    topic = f"questline/narrow-{uuid4().hex[:6]}/narrow-{uuid4().hex[:6]}"
    ensure(topic, endpoint=emulator)
    gateway = Watched(tmp_path, QUESTLINE_BROKER=f"pubsub:{topic}?endpoint={through}")
    clients = Goodput(gateway.process.listen)
    try:
        with toxiproxy.trouble("narrow"):
            peak = await clients.saturate(PEAK_S)
            at_twice = await clients.offer(2 * peak, OVERLOAD_S)
    finally:
        gateway.process.close()
    with closing(open_broker(f"pubsub:{topic}?endpoint={emulator}")) as broker:
        found = await asyncio.to_thread(pulled, broker, clients.acknowledged)

    print(f"\npeak {peak:.1f} calls/s, at twice that {at_twice:.1f}: {at_twice / peak:.0%} of it; {dict(clients.told)}")
    assert clients.acknowledged <= found.keys() <= set(clients.sent)
    assert clients.told["with advice"] > 0
    assert at_twice / peak >= (request.config.getoption("--fault-goodput", default=None) or 0.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk") as folder:
        if not folder:
            pytest.skip("a small disk can be mounted by root only")
        yield folder


@pytest.mark.timeout(300)
async def test_while_the_disk_is_full_events_are_refused_with_advice_and_all_arrive_afterwards(
    small_disk: Path,
) -> None:
    gateway, clients = Watched(small_disk, **LIMITS), Clients()
    following = asyncio.create_task(gateway.follow())
    try:
        working = asyncio.create_task(clients.work(gateway.process.listen))
        await until(lambda: clients.told["REFUSED"], "a refusal")
        assert not await asyncio.to_thread(gateway.ready)
        with closing(open_broker(f"spool:{Home(small_disk).spool}")) as broker:
            found = await asyncio.to_thread(pulled, broker, clients.sent)
        await asyncio.wait_for(working, PATIENCE_S)
        await until(gateway.ready, "a gateway that is ready again")
    finally:
        following.cancel()
        gateway.process.close()

    assert found == Counter(clients.sent)  # each once
    assert gateway.most_bytes - gateway.first_bytes < GROWTH_BYTES
