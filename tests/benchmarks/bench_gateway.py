"""What an event costs the gateway, in CPU of its process, beside a server in Go and the original's way of taking one.

Run it as a script. The gateway is a process of its own over the embedded broker: every answer comes after a commit to
disk. Load comes from this process with requests that are serialized already. CPU is user and system time of the server
alone, so that neither a busy machine nor the client counts; rounds take turns, and the best is shown with the median.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import grpc
import psutil
import pyarrow as pa
import uvloop
from google.protobuf.json_format import MessageToJson

from questline_core.broker.port import Message
from questline_core.broker.spool import open_spool
from questline_core.lookup import signing_key
from questline_core.lookup.publish import SCHEMA, Terms, publish
from questline_core.pb.telemetry_pb2 import Event
from questline_core.processes import read_ready
from questline_core.stack.children import free_ports
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.server import PROCESS
from questline_ingest.servicer import SERVICE
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import GatewayProcess, ModelServer

ROUNDS = 3
IN_FLIGHT, STREAMS, BATCH = 32, 16, 100
UNARY_CALLS, STREAM_EVENTS, BATCHES = 3_000, 8_000, 600
RATE_PER_S, PACED_CALLS = 500, 1_500
ORIGINAL_EVENTS = 300

Case = Callable[[grpc.aio.Channel, "Requests"], Awaitable[int]]


class Requests:
    """Serialized requests, each event with an id that no other has."""

    def __init__(self) -> None:
        self._number = 0

    def make(self, requests: int, *, events: int = 1) -> list[bytes]:
        """Serialize requests of this many events."""
        return [
            pb.SendRequest(events=[self._event() for _ in range(events)]).SerializeToString() for _ in range(requests)
        ]

    def _event(self) -> Event:
        self._number += 1
        return full_event(self._number)


def full_event(number: int) -> Event:
    """Make an event of about 1 kB with what a real export has: params, properties, device, place, build."""
    event = Event(
        event_id=f"0192f3a4-5b6c-7d8e-9f00-{number:012d}",
        event_name="level_complete_quickplay",
        event_timestamp=1_800_000_000_000_000 + number,
        user_pseudo_id=f"D50D60807F5347EB64EF0CD5{number % 5000:08d}",
        event_date="20270115",
        platform="ANDROID",
        stream_id="1051193346",
        user_first_touch_timestamp=1_799_000_000_000_000,
    )
    for index in range(5):
        event.event_params.add(key=f"firebase_param_{index}").value.int_value = 12_345_678_901 + index
    for index in range(9):
        value = event.user_properties.add(key=f"user_property_{index}").value
        value.string_value, value.set_timestamp_micros = "some_value", 1_799_000_000_000_000
    device = event.device
    device.category, device.mobile_brand_name, device.mobile_model_name = "mobile", "Samsung", "SM-G930V"
    device.operating_system, device.operating_system_version, device.language = "ANDROID", "8.0.0", "en-us"
    device.is_limited_ad_tracking, device.time_zone_offset_seconds = "No", -25_200
    event.geo.continent, event.geo.country, event.geo.city = "Americas", "United States", "San Francisco"
    event.app_info.id, event.app_info.version = "com.labpixies.flood", "2.62"
    event.app_info.firebase_app_id = "1:300830567303:android:9b9ba2ce17104d0c"
    event.traffic_source.name = "(direct)"
    return event


async def unary(channel: grpc.aio.Channel, requests: Requests) -> int:
    """One event a call, `IN_FLIGHT` calls at a time."""
    call = channel.unary_unary(f"/{SERVICE}/Send", request_serializer=None, response_deserializer=None)
    left = iter(requests.make(UNARY_CALLS))

    async def work() -> None:
        for request in left:
            await call(request)

    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return UNARY_CALLS


async def stream(channel: grpc.aio.Channel, requests: Requests) -> int:
    """One event a message, many on their way on each of `STREAMS` streams."""
    return await _streamed(channel, requests.make(STREAM_EVENTS), streams=STREAMS)


async def batches(channel: grpc.aio.Channel, requests: Requests) -> int:
    """`BATCH` events a message."""
    return await _streamed(channel, requests.make(BATCHES, events=BATCH), streams=8) * BATCH


async def _streamed(channel: grpc.aio.Channel, messages: Sequence[bytes], *, streams: int) -> int:
    call = channel.stream_stream(f"/{SERVICE}/Stream", request_serializer=None, response_deserializer=None)

    async def given(own: Sequence[bytes]) -> AsyncIterator[bytes]:
        for message in own:
            yield message

    async def work(own: Sequence[bytes]) -> int:
        return sum([1 async for _ in call(given(own))])

    answered = await asyncio.gather(*(work(messages[number::streams]) for number in range(streams)))
    return sum(answered)


async def paced(address: str, requests: Requests) -> tuple[float, float]:
    """Call `RATE_PER_S` times a second; p50 and p99 in ms from when each call was due."""
    took: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/Send", request_serializer=None, response_deserializer=None)
        room = asyncio.Semaphore(90)  # a connection carries 100 calls; who waits for room counts as waiting
        began = time.perf_counter() + 0.1

        async def one(request: bytes, due: float) -> None:
            await asyncio.sleep(due - time.perf_counter())
            async with room:
                await call(request)
            took.append((time.perf_counter() - due) * 1000)

        calls = requests.make(PACED_CALLS)
        await asyncio.gather(*(one(request, began + n / RATE_PER_S) for n, request in enumerate(calls)))
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


@contextmanager
def cpu_of(process: psutil.Process) -> Iterator[list[float]]:
    """Give a list that holds the CPU seconds of the block at its end."""
    before = process.cpu_times()
    used: list[float] = []
    yield used
    after = process.cpu_times()
    used.append(after.user - before.user + after.system - before.system)


async def measure(address: str, process: psutil.Process, case: Case, requests: Requests) -> float:
    """Give events a second of the server's CPU."""
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        with cpu_of(process) as used:
            events = await case(channel, requests)
    return events / used[0]


async def asked_both(channel: grpc.aio.Channel, requests: Requests) -> int:
    """As `stream`, with both predictions asked for every event."""
    both = pb.SendRequest(predict=[pb.SPEND, pb.CHURN]).SerializeToString()
    return await _streamed(channel, [request + both for request in requests.make(STREAM_EVENTS)], streams=STREAMS)


CASES: dict[str, Case] = {
    "unary": unary,
    "stream": stream,
    "stream of batches": batches,
    "stream, both predictions": asked_both,
}
BARS = {"unary": 4_500, "stream": 17_000, "stream of batches": 250_000, "stream, both predictions": 10_000}


def publish_lookup(home: Path) -> None:
    """Give the gateway a snapshot to answer churn from."""
    settings = GatewaySettings(home=home)
    rows = [(f"D50D60807F5347EB64EF0CD5{n:08d}", 0.25, "trees", None, None) for n in range(5_000)]
    batch = pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)
    terms = Terms(prior=0.2, threshold=0.4, lineage={})
    publish(settings.paths.lookup, [batch], terms, key=signing_key(settings))


def original_way(port: int, folder: str) -> None:
    """Take events as the original does: a connection and a JSON text each, and a publisher that is opened for it alone."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line := await reader.readline():  # nothing comes from who only tries the port
            event = json.loads(line)
            attributes = {"kind": "event", "id": event["event_id"]}
            with closing(open_spool(folder, process="original")) as publisher:
                await publisher.publish([Message(json.dumps(event).encode(), attributes)])
            writer.write(b"{}\n")
        writer.close()

    async def serve() -> None:
        async with await asyncio.start_server(handle, "127.0.0.1", port) as server:
            await server.serve_forever()

    uvloop.run(serve())


async def measure_original(folder: Path) -> float:
    """Give events a second of CPU of a server that works the original's way, over the same spool."""
    (port,) = free_ports(1)
    server = get_context("spawn").Process(target=original_way, args=(port, str(folder)), daemon=True)
    server.start()
    text = MessageToJson(full_event(0), indent=0).replace("\n", " ").replace("eventId", "event_id").encode() + b"\n"
    try:
        await _reachable(port)
        with cpu_of(psutil.Process(server.pid)) as used:
            for _ in range(ORIGINAL_EVENTS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(text)
                await reader.readline()
                writer.close()
        return ORIGINAL_EVENTS / used[0]
    finally:
        server.terminate()
        server.join()


GO = Path(__file__).parent / "go"
COMPONENTS = Path(__file__).parents[2] / "components"
GO_CASES = ("unary", "stream", "stream of batches")


def built_go_server(folder: Path) -> Path | None:
    """Build the Go server with stubs from our proto, or say why there is none."""
    if not shutil.which("go"):
        print("no server in Go beside it: there is no go on PATH")
        return None
    shutil.copytree(GO, folder)
    plugin, module = folder / "protoc-gen-go", "questline/bench"
    proto = "questline_core/pb/telemetry.proto"
    for command in (
        ["go", "build", "-o", str(plugin), "google.golang.org/protobuf/cmd/protoc-gen-go"],
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{COMPONENTS}", f"--plugin=protoc-gen-go={plugin}"),
            *(f"--go_out={folder}", f"--go_opt=module={module}", f"--go_opt=M{proto}={module}/telemetry", proto),
        ],
        ["go", "build", "-o", str(folder / "server"), "."],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"no server in Go beside it: {done.stderr.strip().splitlines()[-1]}")
            return None
    return folder / "server"


@asynccontextmanager
async def go_server(folder: Path) -> AsyncIterator[tuple[str, psutil.Process] | None]:
    """Run the server in Go, if it can be built; gives its address and process."""
    server, (port,) = await asyncio.to_thread(built_go_server, folder), free_ports(1)
    if server is None:
        yield None
        return
    address = f"127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(server, address, folder / "events")
    try:
        await _reachable(port)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _reachable(port: int) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def run(folder: Path) -> None:
    """Start a gateway, and a server in Go if there can be one, and measure every case in turn."""
    opened = AsyncExitStack()
    model = ModelServer()
    await model.start()
    publish_lookup(folder / "home")
    (port,) = free_ports(1)
    gateway = GatewayProcess(folder / "home", f"127.0.0.1:{port}", QUESTLINE_SPEND_ADDRESS=model.address)
    try:
        await asyncio.to_thread(gateway.wait_ready)
        go = await opened.enter_async_context(go_server(folder / "go"))
        process = psutil.Process(read_ready(folder / "home" / "run", PROCESS)["pid"])  # type: ignore[index]
        requests, rates = Requests(), dict[str, list[float]]()
        for number in range(ROUNDS):
            for name, case in CASES.items():
                rates.setdefault(name, []).append(await measure(gateway.listen, process, case, requests))
                if go and name in GO_CASES:
                    rates.setdefault(f"{name}, in Go", []).append(await measure(*go, case, requests))
            rates.setdefault("the original's way", []).append(await measure_original(folder / f"original{number}"))
        report(rates)
        p50, p99 = await paced(gateway.listen, requests)
        print(
            f"{RATE_PER_S} calls/s: p50 {p50:.2f} ms (bar 1.5), p99 {p99:.2f} ms (bar 7), on this machine as busy as it is"
        )
    finally:
        await opened.aclose()
        gateway.close()
        await model.stop()


def report(rates: dict[str, list[float]]) -> None:
    """Print events a second of server CPU, the bar, and how often the original's way and Go that is."""
    original = max(rates["the original's way"])
    print(f"{'':28}{'best':>10}{'median':>10}{'bar':>10}{'x original':>12}{'x Go':>8}")
    for name, own in rates.items():
        bar = f"{BARS[name]:,}" if name in BARS else ""
        go = rates.get(f"{name}, in Go")
        ratio = f"{max(own) / max(go):.2f}" if go else ""
        print(
            f"{name:28}{max(own):>10,.0f}{statistics.median(own):>10,.0f}{bar:>10}{max(own) / original:>12.1f}{ratio:>8}"
        )


def main() -> None:
    """Print a line for each case."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(run(Path(folder)))


if __name__ == "__main__":
    main()
