"""Send mutated messages over gRPC and HTTP: `python tests/faults/hostile.py --count 1000000`; prints what came of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import grpc
import orjson
import psutil
import uvloop

from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.addresses import split
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.servicer import SERVICE
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving_all

CORPUS = Path(__file__).parents[1] / "ingest" / "hostile" / "corpus"
ROWS = Path(__file__).parents[3] / "shared/data/flood_it_events/events.ndjson"
AT_ONCE = 50
_EDGES = (b"\x00", b"\xff", b"\x80" * 10, b"\x7f", b"\xff\xff\xff\xff\x0f", b"\xed\xa0\x80", b"{" * 300, b"\x0b" * 200)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Forgetting(MemoryBroker):
    """Takes messages and keeps none, so that growth of memory is the gateway's."""

    async def publish(self, messages: Sequence[object]) -> None:
        """Forget them."""


def seeds() -> list[bytes]:
    """Give whole requests at the edges of the contract, and every find of earlier runs."""
    event = an_event("e", client_time=2**63 - 1, user_ltv={"revenue": float("nan"), "currency": "é"})
    event.event_params.add(key="k").value.int_value = -(2**63)
    event.event_params.add(key="k").value.double_value = float("inf")
    row = {"event_id": "e", "event_name": "n", "event_timestamp": 1_800_000_000_000_000, "user_pseudo_id": "p"}
    lines = ROWS.read_bytes().splitlines()[:50] if ROWS.exists() else []
    real = [Ga4Rows(skip_unknown=True).event(orjson.loads(line) | {"event_id": "r"}) for line in lines]
    return [
        *(pb.SendRequest(events=[one], predict=[pb.SPEND]).SerializeToString() for one in real),
        pb.SendRequest(events=[event, Event()], predict=[pb.SPEND, pb.CHURN]).SerializeToString(),
        pb.SendRequest(events=[an_event("f")] * 3).SerializeToString(),
        orjson.dumps({"events": [row | {"event_params": [{"key": "k", "value": {"int_value": -(2**63)}}]}, row]}),
        orjson.dumps(row),
        *(b'{"event_id": "r", ' + line[1:] for line in lines),
        *(path.read_bytes() for path in sorted(CORPUS.glob("*"))),
    ]


def mutated(dice: random.Random, seed: bytes) -> bytes:
    """Change a message in one to four places: bytes, edges, cuts, doublings."""
    data = bytearray(seed)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                data[at:at] = dice.choice(_EDGES)
            case 2:
                del data[at : at + dice.randint(1, 20)]
            case _:
                data[at:at] = data[dice.randrange(len(data) + 1) :][:40]
    return bytes(data)


class Run:
    """One gateway under fire.

    Attributes:
        outcomes: how many messages ended in each status of each door.
        finds: messages that the server failed on.
    """

    def __init__(self, channel: grpc.aio.Channel, http: Sequence[Connection]) -> None:
        self._send = channel.unary_unary(f"/{SERVICE}/Send", request_serializer=None, response_deserializer=None)
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in http:
            self._free.put_nowait(connection)
        self.outcomes = Counter[str]()
        self.finds: list[bytes] = []

    async def fire(self, data: bytes) -> None:
        """Send the same bytes through both doors."""
        try:
            await self._send(data)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            code = error.code()
        status = await self._post(data)
        self.outcomes.update((f"grpc {code.name}", f"http {status}"))
        known = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
        if code not in known or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.finds.append(data)

    async def _post(self, data: bytes) -> int:
        """Post over a kept connection, and give the status."""
        reader, writer = connection = await self._free.get()
        writer.write(b"POST /v1/events HTTP/1.1\r\nhost: gateway\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        self._free.put_nowait(connection)
        return int(head.split()[1])


async def attack(home: Path, count: int, *, seed: int, seconds: float) -> tuple[Run, float]:
    """Send `count` messages through both doors, or as many as there is time for.

    Returns:
        The run, and the growth of memory after the first fifth of messages or time, as a share.
    """
    settings = GatewaySettings(home=home, listen="127.0.0.1:0", http_listen="127.0.0.1:0", recent_ids=1000, notice_s=0)
    dice, grown = random.Random(seed), seeds()
    async with serving_all(settings, Forgetting()) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        connections = [await asyncio.open_connection(*split(at.http)) for _ in range(AT_ONCE)]
        run = Run(channel, connections)
        for first in range(0, len(grown), AT_ONCE):
            await asyncio.gather(*map(run.fire, grown[first : first + AT_ONCE]))
        warm_bytes, began = 0, time.monotonic()
        for sent in range(0, count, AT_ONCE):
            spent_s = time.monotonic() - began
            if max(sent / count, spent_s / seconds) >= 1 / 5 and not warm_bytes:
                warm_bytes = psutil.Process().memory_info().rss
            if spent_s >= seconds:
                break
            await asyncio.gather(*(run.fire(mutated(dice, dice.choice(grown))) for _ in range(AT_ONCE)))
        growth = psutil.Process().memory_info().rss / warm_bytes - 1
        for _, writer in connections:
            writer.close()
        return run, growth


def main() -> None:
    """Print the counts; every find becomes a file of the corpus, and the exit code is 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=24 * 3600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run, growth = uvloop.run(attack(Path(home), given.count, seed=given.seed, seconds=given.seconds))
    for number, find in enumerate(run.finds):
        (CORPUS / f"find-{given.seed}-{number}").write_bytes(find)
    messages = run.outcomes.total() // 2
    sys.stdout.write(
        f"seed {given.seed}, {messages:,} messages, {dict(run.outcomes)}, finds {len(run.finds)}, memory {growth:+.1%}\n"
    )
    raise SystemExit(bool(run.finds) or growth >= 0.1)


if __name__ == "__main__":
    main()
