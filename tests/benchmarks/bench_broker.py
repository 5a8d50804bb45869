"""What a message costs on both brokers, in CPU of this process, beside the bars and beside Google's client library.

Run it as a script. CPU is user and system time of all threads; the rounds of all cases take turns, and the least is shown
with the median, because a busy machine only adds. An event is 400 bytes with the gateway's five attributes.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import grpc
import uvloop
from google.cloud import pubsub_v1  # type: ignore[attr-defined]
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from questline_core.broker.port import EVENT, Message
from questline_core.broker.pubsub import ensure, open_pubsub
from questline_core.broker.spool import open_spool
from questline_core.testing.bars import at_least, at_most
from questline_core.testing.pubsub_emulator import find_emulator, running_emulator

MESSAGES, ROUNDS, WAITING, BATCH = 50_000, 5, 1_000, 500
Publish = Callable[[Sequence[Message]], Awaitable[None]]


@dataclass(slots=True)
class Figures:
    """CPU µs a message and messages a second, one of each for a round."""

    cpu_us: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


def main() -> None:
    """Print a line for each case, then the ratios."""
    cases: dict[str, Figures] = {}
    messages = make_messages(MESSAGES)
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        command = find_emulator()
        emulator = opened.enter_context(running_emulator(command, folder / "log")) if command else ""
        for number in range(ROUNDS):
            measure_floor(cases, messages)
            measure_spool(cases, messages, folder / f"round{number}")
            if emulator:
                measure_pubsub(cases, messages[: MESSAGES // 5], emulator, f"round{number}")
    print_figures(cases)
    if not emulator:
        print("Pub/Sub: not measured, needs Java and gcloud's component pubsub-emulator")


def make_messages(number: int) -> list[Message]:
    """Events as the gateway publishes them."""
    body, trace = os.urandom(400), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    return [
        Message(
            body,
            {
                "kind": EVENT,
                "id": f"0192f3a4-5b6c-7d8e-9f00-{i:012d}",
                "name": "level_complete_quickplay",
                "time": str(1_700_000_000_000 + i),
                "trace": trace,
            },
        )
        for i in range(number)
    ]


@contextmanager
def measured(cases: dict[str, Figures], case: str, number: int) -> Iterator[None]:
    """Add one round to a case."""
    started, cpu = time.perf_counter(), cpu_s()
    yield
    figures = cases.setdefault(case, Figures())
    figures.cpu_us.append((cpu_s() - cpu) / number * 1e6)
    figures.rate.append(number / (time.perf_counter() - started))


def cpu_s() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def one_by_one(publish: Publish, messages: Sequence[Message]) -> None:
    """Publish single messages from `WAITING` tasks."""
    left = iter(messages)

    async def work() -> None:
        for message in left:
            await publish([message])

    await asyncio.gather(*(work() for _ in range(WAITING)))


async def in_batches(publish: Publish, messages: Sequence[Message], *, at_once: int = 1) -> None:
    """Publish batches of `BATCH`, some at once."""
    starts = iter(range(0, len(messages), BATCH))

    async def work() -> None:
        for start in starts:
            await publish(messages[start : start + BATCH])

    await asyncio.gather(*(work() for _ in range(at_once)))


def measure_floor(cases: dict[str, Figures], messages: Sequence[Message]) -> None:
    """What the tasks of `one_by_one` cost by themselves, with a thread that answers and stores nothing."""
    waiting: SimpleQueue[asyncio.Future[None] | None] = SimpleQueue()

    async def publish(_: Sequence[Message]) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.put(answer)
        await answer

    def settle(answers: Sequence[asyncio.Future[None]]) -> None:
        for answer in answers:
            answer.set_result(None)

    def answer_all() -> None:
        while first := waiting.get():
            answers = [first, *(waiting.get() for _ in range(waiting.qsize()))]
            first.get_loop().call_soon_threadsafe(settle, [a for a in answers if a])
            time.sleep(0.003)  # as long as a commit

    thread = Thread(target=answer_all)
    thread.start()
    with measured(cases, "asyncio alone, 1,000 waiting", len(messages)):
        uvloop.run(one_by_one(publish, messages))
    waiting.put(None)
    thread.join()


def measure_spool(cases: dict[str, Figures], messages: Sequence[Message], folder: Path) -> None:
    """Publish both ways, then consume all."""
    with closing(open_spool(str(folder), process="bench")) as spool:
        with measured(cases, "spool publish, 1,000 waiting", len(messages)):
            uvloop.run(one_by_one(spool.publish, messages))
        with measured(cases, "spool publish, batches of 500", len(messages)):
            uvloop.run(in_batches(spool.publish, messages))
        pulled, ids = 0, []
        with measured(cases, "spool pull", 2 * len(messages)):
            while deliveries := spool.pull(max_messages=5_000, lease_s=600):
                pulled += len(deliveries)
                ids.append([delivery.ack_id for delivery in deliveries])
        with measured(cases, "spool ack", pulled):
            for some in ids:
                spool.ack(some)
        if (pulled, spool.depth()) != (2 * len(messages), 0):
            raise AssertionError(f"{pulled} messages came out of {2 * len(messages)}, {spool.depth()} are left")


def measure_pubsub(cases: dict[str, Figures], messages: Sequence[Message], emulator: str, topic: str) -> None:
    """Publish to Google's emulator, by our publisher and by Google's client library."""
    ensure(f"bench/{topic}", endpoint=emulator)
    with closing(open_pubsub(f"bench/{topic}", endpoint=emulator)) as broker:
        with measured(cases, "Pub/Sub publish, 1,000 waiting", len(messages)):
            uvloop.run(one_by_one(broker.publish, messages))
        with measured(cases, "Pub/Sub publish, batches of 500", len(messages)):
            uvloop.run(in_batches(broker.publish, messages, at_once=4))
    with grpc.insecure_channel(emulator) as channel:
        client = pubsub_v1.PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        path = client.topic_path("bench", topic)
        with measured(cases, "Pub/Sub publish, Google's client", len(messages)):
            for future in [client.publish(path, message.data, **message.attributes) for message in messages]:
                future.result()
        client.stop()


BAR_US, BAR_RATE = 3.0, 100_000
SINGLE, BATCHES = "publish, 1,000 waiting", "publish, batches of 500"


def print_figures(cases: dict[str, Figures]) -> None:
    """Print all cases and how they compare."""
    print(f"{'CPU µs a message':36}{'least':>8}{'median':>8}{'most/s':>10}")
    least = {case: min(figures.cpu_us) for case, figures in cases.items()}
    for case, figures in cases.items():
        median = statistics.median(figures.cpu_us)
        print(f"{case:36}{least[case]:8.2f}{median:8.2f}{max(figures.rate):10,.0f}")
    floor = least["asyncio alone, 1,000 waiting"]
    for broker in ("spool", "Pub/Sub"):
        for case in (f"{broker} {SINGLE}", f"{broker} {BATCHES}"):
            if cost := least.get(case):
                print(f"bar   {case}: {at_most(cost, BAR_US, 'µs of CPU a message')}")
        if single := least.get(f"{broker} {SINGLE}"):
            print(f"      {broker} at 1,000 waiting beyond asyncio's own part: {single - floor:.2f} µs")
    rate = max(cases[f"spool {SINGLE}"].rate)
    print(f"bar   spool {SINGLE}: {at_least(rate, BAR_RATE, 'durable events/s')}")
    if google := least.get("Pub/Sub publish, Google's client"):
        for case in ("1,000 waiting", "batches of 500"):
            print(f"Google's client / ours, {case}: {google / least[f'Pub/Sub publish, {case}']:.1f}")


if __name__ == "__main__":
    main()
