"""A gateway's gRPC door as a target: events as bytes in, counts out; no message object but the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

import grpc

from questline_ingest.client import Access
from questline_ingest.load.target import Answered, CallFailed
from questline_ingest.pb import ingest_pb2 as pb

_METHOD = "/questline.ingest.v1.Ingest/Send"
_EVENTS = bytes([pb.SendRequest.EVENTS_FIELD_NUMBER << 3 | 2])
_SEVEN_BITS = 0x7F


class GrpcTarget:
    """A channel to one gateway; an async context manager."""

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
            _METHOD, request_serializer=None, response_deserializer=pb.SendResponse.FromString
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close(None)

    async def send(self, events: Sequence[bytes]) -> Answered:
        """Make one call.

        Raises:
            CallFailed: there is no answer.
        """
        request = b"".join(_EVENTS + _varint(len(event)) + event for event in events) + self._tail
        try:
            response = await self._send(request, timeout=self._timeout_s, metadata=self._access.metadata)
        except grpc.aio.AioRpcError as error:
            raise CallFailed(error.code().name) from None
        outcomes, predictions = Counter[str](), Counter[str]()
        for answer in response.answers:
            outcomes[pb.Outcome.Name(answer.outcome).lower()] += 1
            for field, value in answer.ListFields():
                if field.name in _MODELS:
                    predictions[f"{field.name} {pb.Source.Name(value.source).lower()}"] += 1
        return Answered(outcomes=outcomes, predictions=predictions)


_MODELS = frozenset(name.lower() for name in pb.Model.keys())  # noqa: SIM118 - an enum of protobuf is no dict


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    return bytes([*encoded, number])
