"""Send mutated messages over gRPC and HTTP: `python tests/faults/hostile.py --count 1000000`; prints what came of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import grpc
import httpx
import orjson
import psutil

from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.servicer import SERVICE
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import an_event, serving_all

CORPUS = Path(__file__).parents[1] / "ingest" / "hostile" / "corpus"
ROWS = Path(__file__).parents[3] / "shared/data/flood_it_events/events.ndjson"
AT_ONCE = 50
_EDGES = (b"\x00", b"\xff", b"\x80" * 10, b"\x7f", b"\xff\xff\xff\xff\x0f", b"\xed\xa0\x80", b"{" * 300, b"\x0b" * 200)


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
    return [
        pb.SendRequest(events=[event, Event()], predict=[pb.SPEND, pb.CHURN]).SerializeToString(),
        pb.SendRequest(events=[an_event("f")] * 3).SerializeToString(),
        orjson.dumps({"events": [row | {"event_params": [{"key": "k", "value": {"int_value": -(2**63)}}]}, row]}),
        orjson.dumps(row),
        *(b'{"event_id": "r", ' + line[1:] for line in (ROWS.read_bytes().splitlines()[:50] if ROWS.exists() else ())),
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

    def __init__(self, channel: grpc.aio.Channel, http: httpx.AsyncClient) -> None:
        self._send = channel.unary_unary(f"/{SERVICE}/Send", request_serializer=None, response_deserializer=None)
        self._http = http
        self.outcomes = Counter[str]()
        self.finds: list[bytes] = []

    async def fire(self, data: bytes) -> None:
        """Send the same bytes through both doors."""
        try:
            await self._send(data)
            code = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            code = error.code()
        status = (await self._http.post("/v1/events", content=data)).status_code
        self.outcomes.update((f"grpc {code.name}", f"http {status}"))
        known = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
        if code not in known or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            self.finds.append(data)


async def attack(home: Path, count: int, *, seed: int) -> tuple[Run, float]:
    """Send `count` messages through both doors; give the run and the growth of memory after the first fifth, as a share."""
    settings = GatewaySettings(home=home, listen="127.0.0.1:0", http_listen="127.0.0.1:0", recent_ids=1000, notice_s=0)
    dice, grown = random.Random(seed), seeds()
    async with (
        serving_all(settings, Forgetting()) as at,
        grpc.aio.insecure_channel(at.grpc) as channel,
        httpx.AsyncClient(base_url=f"http://{at.http}", timeout=30) as http,
    ):
        run = Run(channel, http)
        await asyncio.gather(*map(run.fire, grown))
        warm_bytes = 0
        for sent in range(0, count, AT_ONCE):
            if sent >= count // 5 and not warm_bytes:
                warm_bytes = psutil.Process().memory_info().rss
            await asyncio.gather(*(run.fire(mutated(dice, dice.choice(grown))) for _ in range(AT_ONCE)))
        return run, psutil.Process().memory_info().rss / warm_bytes - 1


def main() -> None:
    """Print the counts; every find becomes a file of the corpus, and the exit code is 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run, growth = asyncio.run(attack(Path(home), given.count, seed=given.seed))
    for number, find in enumerate(run.finds):
        (CORPUS / f"find-{given.seed}-{number}").write_bytes(find)
    sys.stdout.write(f"seed {given.seed}, {dict(run.outcomes)}, finds {len(run.finds)}, memory {growth:+.1%}\n")
    raise SystemExit(bool(run.finds) or growth >= 0.1)


if __name__ == "__main__":
    main()
