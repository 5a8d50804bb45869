"""Runs in a pod: ask a gateway for spend at a steady rate, and write one JSON line for each call.

python3 load.py ADDRESS RATE FOLDER: starts when the gateway gives its first fresh answer, ends when FOLDER/stop is there
or after fifteen minutes, and then makes FOLDER/done. A line: asked at, answered at (Unix time), player, revision, trouble.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.pb import ingest_pb2 as pb

PLAYERS, CONNECTIONS = 5_000, 50
"""Players do not share a connection, and a gateway takes a hundred calls at once on each."""
LIMIT_S, TIMEOUT_S = 900.0, 20.0
IN_FLIGHT = 500
"""Most calls without an answer. gRPC cancels calls of which more than a thousand wait for a server, as when a machine stalls."""


async def main(address: str, rate: float, folder: Path) -> None:
    async with AsyncExitStack() as opened:
        options = (("grpc.use_local_subchannel_pool", 1),)
        channels = [
            await opened.enter_async_context(grpc.aio.insecure_channel(address, options=options))
            for _ in range(CONNECTIONS)
        ]
        doors = [
            channel.unary_unary(
                "/questline.ingest.v1.Ingest/Send",
                request_serializer=pb.SendRequest.SerializeToString,
                response_deserializer=pb.SendResponse.FromString,
            )
            for channel in channels
        ]
        while (await ask(doors[0], 0))[-1]:  # noqa: ASYNC110 - nothing tells when a model answers but an answer
            await asyncio.sleep(0.5)
        with (folder / "answers.ndjson").open("w", buffering=1) as out:
            await steady(doors, rate, folder / "stop", out)
    (folder / "done").touch()


async def steady(doors: Sequence[Any], rate: float, stop: Path, out: TextIOWrapper) -> None:
    room, began, number = asyncio.Semaphore(IN_FLIGHT), time.monotonic(), 0

    async def one(number: int) -> None:
        out.write(json.dumps(await ask(doors[number % CONNECTIONS], number)) + "\n")
        room.release()

    async with asyncio.TaskGroup() as group:
        while time.monotonic() - began < LIMIT_S and not stop.exists():  # noqa: ASYNC240 - a look at a folder in memory
            await asyncio.sleep(0.02)
            while number < (time.monotonic() - began) * rate:
                await room.acquire()
                group.create_task(one(number))
                number += 1


async def ask(send: Any, number: int) -> list[Any]:
    player, asked_at = f"player-{number % PLAYERS}", time.time()
    event = Event(
        event_id=str(uuid4()),
        event_name="level_end",
        event_timestamp=time.time_ns() // 1000,
        user_pseudo_id=player,
        is_test=True,
    )
    try:
        response = await send(pb.SendRequest(events=[event], predict=[pb.SPEND]), timeout=TIMEOUT_S)
        (answer,) = response.answers
        fresh = answer.outcome == pb.ACCEPTED and answer.spend.source == pb.FRESH
        trouble = "" if fresh and answer.spend.revision else f"{answer.problem.reason} {answer.spend.reason}".strip()
        return [asked_at, time.time(), player, answer.spend.revision, trouble or ("" if fresh else "no answer")]
    except grpc.aio.AioRpcError as error:
        return [asked_at, time.time(), player, "", f"{error.code().name}: {error.details()}"]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))
