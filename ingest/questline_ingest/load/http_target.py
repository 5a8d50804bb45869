"""A gateway's HTTP door as a target: JSON over kept connections, as many as there are calls without an answer."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any, Self

import orjson

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.addresses import split
from questline_ingest.client import Access
from questline_ingest.load.target import Answered, CallFailed
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.simulate.export import as_row

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpTarget:
    """`POST /v1/events` at one address; an async context manager."""

    def __init__(
        self, address: str, access: Access, *, predict: Collection[pb.Model.ValueType], timeout_s: float
    ) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._predict = [pb.Model.Name(model).lower() for model in predict]
        self._tls = ssl.create_default_context(cafile=access.tls.ca_file) if access.tls else None
        told = "".join(f"{name}: {value!s}\r\n" for name, value in access.metadata)
        self._head = f"POST /v1/events HTTP/1.1\r\nhost: {address}\r\n{told}content-length: ".encode()
        self._free: list[Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self._free:
            writer.close()

    async def send(self, events: Sequence[bytes]) -> Answered:
        """Make one call.

        Raises:
            CallFailed: there is no answer.
        """
        rows = [as_row(Event.FromString(event)) for event in events]
        body = orjson.dumps({"events": rows, "predict": self._predict})
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer = await self._exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        except TimeoutError:
            raise CallFailed("DEADLINE_EXCEEDED") from None
        except (OSError, asyncio.IncompleteReadError):
            raise CallFailed("UNAVAILABLE") from None
        if status != HTTPStatus.OK:
            raise CallFailed(f"HTTP {status}")
        return _counted(orjson.loads(answer)["answers"])

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        """Use a connection that nobody uses; one that fails or is given up is not used again."""
        reader, writer = self._free.pop() if self._free else await self._connect()
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        except BaseException:
            writer.close()
            raise
        self._free.append((reader, writer))
        return int(head.split()[1]), body

    async def _connect(self) -> Connection:
        host, port = split(self._address)
        return await asyncio.open_connection(host, port, ssl=self._tls)


def _counted(answers: Sequence[dict[str, Any]]) -> Answered:
    models = [name.lower() for name in pb.Model.keys()]  # noqa: SIM118 - an enum of protobuf is no dict
    return Answered(
        outcomes=Counter(answer["outcome"].lower() for answer in answers),
        predictions=Counter(
            f"{model} {answer[model]['source'].lower()}" for answer in answers for model in models if model in answer
        ),
        why_rejected=next((answer["problem"]["message"] for answer in answers if answer["outcome"] == "REJECTED"), ""),
    )
