"""One JSON object a TCP connection: it is stored, answered if it asks a model, and the connection is closed."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import structlog

from questline_core.errors import QuestlineError
from questline_core.events.checks import END_TIME_US, MAX_EVENT_BYTES, MIN_TIME_US
from questline_ingest.addresses import cannot_listen, split
from questline_ingest.admission import Admission
from questline_ingest.auth.gate import Gate
from questline_ingest.auth.keys import ANYONE
from questline_ingest.gateway import Answered, Budget, Gateway
from questline_ingest.http.events import read_rows
from questline_ingest.pb import ingest_pb2 as pb

log = structlog.get_logger()

_IDLE_S = 10.0
_TRIES = 64
"""How often one object is looked at while it comes: more is no honest client, and every look costs its length."""
_MODELS = {"spend": pb.SPEND, "churn": pb.CHURN}
_CHURNS_FROM = 0.5


class TcpDoor:
    """Serves one connection after the other over a gateway. It knows no keys: whoever reaches it is let in."""

    def __init__(self, gateway: Gateway, admission: Admission, gate: Gate, *, longest: Budget) -> None:
        self._gateway, self._admission, self._gate, self._longest = gateway, admission, gate, longest

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection; what cannot be read or stored now is closed without an answer."""
        try:
            async with asyncio.timeout(_IDLE_S):
                row = await _read(reader)
            if row is not None:
                writer.write(await self._answer(row))
                await writer.drain()
        except (TimeoutError, ConnectionError, QuestlineError) as error:
            log.info("connection given up", reason=type(error).__name__)
        except Exception:
            log.exception("connection failed")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, row: dict[str, Any]) -> bytes:
        asked = row.pop("ml", None)
        models = [_MODELS[asked]] if isinstance(asked, str) and asked in _MODELS else []
        with self._admission.admit(len(row)):
            self._gate.spend(ANYONE, 1)
            batch = read_rows([_completed(row)], models, skip_unknown=True)
            answered = await self._gateway.accept(batch, budget=self._longest)
        return _told(answered, batch.events[0].user_pseudo_id)


async def _read(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Read until one object is whole: nothing marks its end."""
    data = b""
    for _ in range(_TRIES):
        part = await reader.read(MAX_EVENT_BYTES)
        data += part
        if len(data) > MAX_EVENT_BYTES or not part:
            return None
        if b"}" in part and (found := _object(data)) is not None:
            return found
    return None


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:  # what comes behind the first object is ignored
            found, _ = json.JSONDecoder().raw_decode(data.decode().lstrip())
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _completed(row: dict[str, Any]) -> dict[str, Any]:
    """Give an event of such a client what it cannot send: an id, and a time if its own is of no day."""
    at = row.get("event_timestamp")
    if isinstance(at, int) and not MIN_TIME_US <= at < END_TIME_US:
        # Only a load test sends these, and training must not see it.
        row |= {"event_timestamp": time.time_ns() // 1000, "is_test": True}
    return {"event_id": f"tcp-{os.urandom(16).hex()}"} | row


def _told(answered: Answered, player: str) -> bytes:
    if spend := answered.spends.get(0):
        told = spend.spend
        return orjson.dumps({"value": told.value, "lower_bound": told.lower_bound, "upper_bound": told.upper_bound})
    if churn := answered.churns.get(0):
        probability = churn.churn.probability
        return orjson.dumps(
            {
                "user_pseudo_id": player,
                "churned": "0",  # this player plays just now
                "predicted_churned": str(int(probability >= _CHURNS_FROM)),
                "probability_churned": str(probability),
            }
        )
    return b""


@asynccontextmanager
async def listening(door: TcpDoor, listen: str, *, shared: bool = False) -> AsyncIterator[str]:
    """Serve at host:port, where port 0 is a free one, and yield the address; other processes may share it.

    Raises:
        NotReady: the address cannot be bound.
    """
    host, port = split(listen)
    try:
        server = await asyncio.start_server(door.serve, host, port, limit=MAX_EVENT_BYTES, reuse_port=shared)
    except (OSError, OverflowError) as error:
        raise cannot_listen(listen, error, setting="QUESTLINE_TCP_LISTEN") from None
    async with server:
        yield f"{listen.rpartition(':')[0]}:{server.sockets[0].getsockname()[1]}"
