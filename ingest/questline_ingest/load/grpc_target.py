"""A gateway's gRPC door as a target, by single calls or one stream: bytes in, counts out."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Self

import grpc

from questline_ingest.client import Access
from questline_ingest.load.target import Answered, CallFailed
from questline_ingest.pb import ingest_pb2 as pb

_SERVICE = "/questline.ingest.v1.Ingest/"
_EVENTS = bytes([pb.SendRequest.EVENTS_FIELD_NUMBER << 3 | 2])
_SEVEN_BITS = 0x7F
_MODELS = frozenset(name.lower() for name in pb.Model.keys())  # noqa: SIM118 - an enum of protobuf is no dict

Waiting = asyncio.Future[pb.SendResponse | None]
"""Of the answer to one request; None when the stream ended before it."""


class GrpcTarget:
    """A channel to one gateway, on which each call is a `Send`; an async context manager."""

    def __init__(
        self, address: str, access: Access, *, predict: Collection[pb.Model.ValueType], timeout_s: float
    ) -> None:
        self._address, self._access, self._timeout_s = address, access, timeout_s
        self._tail = pb.SendRequest(predict=predict).SerializeToString()

    async def __aenter__(self) -> Self:
        tls = self._access.tls
        if tls:
            self._channel = grpc.aio.secure_channel(self._address, tls.credentials())
        else:
            self._channel = grpc.aio.insecure_channel(self._address, options=(("grpc.enable_http_proxy", 0),))
        self._send = self._channel.unary_unary(
            f"{_SERVICE}Send", request_serializer=None, response_deserializer=pb.SendResponse.FromString
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(None)

    async def send(self, events: Sequence[bytes]) -> Answered:
        """Make one call.

        Raises:
            CallFailed: there is no answer.
        """
        return _counted(await self._exchange(_request(events, self._tail)))

    async def _exchange(self, request: bytes) -> pb.SendResponse:
        try:
            response: pb.SendResponse = await self._send(
                request, timeout=self._timeout_s, metadata=self._access.metadata
            )
        except grpc.aio.AioRpcError as error:
            raise CallFailed(error.code().name) from None
        return response


class StreamTarget(GrpcTarget):
    """The same over one `Stream`: requests follow each other without waiting, and answers come in their order."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._waiting: deque[Waiting] = deque()
        self._writing, self._code = asyncio.Lock(), "UNAVAILABLE"
        open_stream = self._channel.stream_stream(
            f"{_SERVICE}Stream", request_serializer=None, response_deserializer=pb.SendResponse.FromString
        )
        self._stream = open_stream(None, metadata=self._access.metadata)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stream.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await super().__aexit__(*error)

    async def _exchange(self, request: bytes) -> pb.SendResponse:
        waiting: Waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._write(request, waiting)
                response = await waiting
        except TimeoutError:
            raise CallFailed("DEADLINE_EXCEEDED") from None
        if response is None:
            raise CallFailed(self._code)
        return response

    async def _write(self, request: bytes, waiting: Waiting) -> None:
        async with self._writing:
            if self._reading.done():
                raise CallFailed(self._code)
            self._waiting.append(waiting)
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reader learns it, too
                await self._stream.write(request)

    async def _read(self) -> None:
        try:
            async for response in self._stream:
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_result(response)
        except grpc.aio.AioRpcError as error:
            self._code = error.code().name
        finally:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)


def _request(events: Sequence[bytes], tail: bytes) -> bytes:
    return b"".join(_EVENTS + _varint(len(event)) + event for event in events) + tail


def _counted(response: pb.SendResponse) -> Answered:
    """Count an answer; a request that a stream turned away as a whole is a failed call.

    Raises:
        CallFailed: the request was turned away.
    """
    if response.HasField("problem"):
        raise CallFailed(response.problem.reason)
    outcomes, predictions = Counter[str](), Counter[str]()
    for answer in response.answers:
        outcomes[pb.Outcome.Name(answer.outcome).lower()] += 1
        for field, value in answer.ListFields():
            if field.name in _MODELS:
                predictions[f"{field.name} {pb.Source.Name(value.source).lower()}"] += 1
    why = next((answer.problem.message for answer in response.answers if answer.outcome == pb.REJECTED), "")
    return Answered(outcomes=outcomes, predictions=predictions, why_rejected=why)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    return bytes([*encoded, number])
