"""Ask a model over the Open Inference Protocol (V2 gRPC): rows in, columns of numbers and texts out."""

from __future__ import annotations

import asyncio
import struct
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import grpc

from questline_core.errors import QuestlineError
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse

INFER = "/inference.GRPCInferenceService/ModelInfer"

Row = Mapping[str, float | str]
"""One value for each named input of a model."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    # The default waits up to two minutes before it looks again for a model server that was restarted.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)

_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "timeout",
    grpc.StatusCode.UNAVAILABLE: "unreachable",
    grpc.StatusCode.NOT_FOUND: "no_model",
}
_DROPPED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
"""How a question ends whose server goes away: the connection broke, or the server cancels what it has not begun."""
_AGAIN_AFTER_S = (0.05, 0.15, 0.5, 0.5)
"""Waits before a dropped question is asked again."""

_Answer = TypeVar("_Answer")

_NUMBERS = {"FP32": ("f", "fp32_contents"), "FP64": ("d", "fp64_contents")}


class ModelUnavailable(QuestlineError):
    """Raised when a model gave no answer that can be used."""

    def __init__(self, model: str, reason: str, detail: str) -> None:
        super().__init__(f"the model {model!r} gave no usable answer ({reason}): {detail}")
        self.reason, self.detail = reason, detail


class BadAnswer(ValueError):
    """Raised when a model's answer is not what the protocol and the model's signature promise."""


class OpenInference(Generic[_Answer]):
    """A model behind a V2 gRPC server.

    Behind the address of a named version there may be several servers. What one of them drops because it goes away is
    asked again, which changes nothing. gRPC's own retries are not enough: they spare a question over 256 KiB, and one
    whose answer had begun.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        read: Callable[[ModelInferResponse, int], list[_Answer]],
        *,
        model: str,
        version: str = "",
    ) -> None:
        """Take what reads the answers to so many rows out of a response; it may raise `BadAnswer`."""
        self._read, self._model, self._version = read, model, version
        self._waits_s = _AGAIN_AFTER_S if version else ()
        self._infer: grpc.aio.UnaryUnaryMultiCallable[bytes, ModelInferResponse] = channel.unary_unary(
            INFER,
            request_serializer=None,
            response_deserializer=ModelInferResponse.FromString,
        )

    async def ask(self, rows: Sequence[Row], *, timeout_s: float) -> list[_Answer]:
        """Answer every row by one request.

        Raises:
            ModelUnavailable: reason timeout, unreachable, no_model, model_error or bad_answer.
        """
        try:
            request = write_request(self._model, rows, version=self._version)
            return self._read(await self._answer(request, timeout_s), len(rows))
        except grpc.aio.AioRpcError as error:
            detail = f"{error.code().name}: {error.details()}"
            raise ModelUnavailable(self._model, _REASONS.get(error.code(), "model_error"), detail) from None
        except BadAnswer as error:
            raise ModelUnavailable(self._model, "bad_answer", str(error)) from None

    async def _answer(self, request: bytes, timeout_s: float) -> ModelInferResponse:
        until = time.monotonic() + timeout_s
        for wait_s in self._waits_s:
            try:
                return await self._infer(request, timeout=until - time.monotonic())
            except grpc.aio.AioRpcError as error:
                if error.code() not in _DROPPED:
                    raise
            await asyncio.sleep(wait_s)
        return await self._infer(request, timeout=until - time.monotonic())


def write_request(model: str, rows: Sequence[Row], *, version: str = "") -> bytes:
    """Ask a model about all rows at once: one packed tensor of shape [n] for each input, FP32 or BYTES.

    Args:
        model: its name.
        rows: with the same inputs in the same order, each of the type that it has in the first row.
        version: who has to answer; empty: who serves.

    Returns:
        A serialized `ModelInferRequest`.
    """
    kinds = tuple((name, isinstance(example, str)) for name, example in rows[0].items())
    columns = zip(*(row.values() for row in rows), strict=True)
    packed = [
        _packed_texts(column) if is_text else array("f", column).tobytes()
        for (_, is_text), column in zip(kinds, columns, strict=True)
    ]
    # Parts of a message may follow one another; all but the values is the same for each question of so many rows.
    return _head(model, version, kinds, len(rows)) + ModelInferRequest(raw_input_contents=packed).SerializeToString()


@lru_cache(maxsize=1024)
def _head(model: str, version: str, kinds: Sequence[tuple[str, bool]], rows: int) -> bytes:
    request = ModelInferRequest(model_name=model, model_version=version)
    for name, is_text in kinds:
        request.inputs.add(name=name, datatype="BYTES" if is_text else "FP32", shape=[rows])
    return request.SerializeToString()


def _packed_texts(texts: Iterable[str]) -> bytes:
    """Put each text behind its length in bytes."""
    return b"".join(len(text).to_bytes(4, "little") + text for text in map(str.encode, texts))


def read_numbers(response: ModelInferResponse, names: Sequence[str], *, rows: int) -> list[tuple[float, ...]]:
    """Read the named outputs, one tuple of numbers a row in the order of `names`.

    Raises:
        BadAnswer: an output is missing, has another type, or another number of rows.
    """
    outputs = {output.name: index for index, output in enumerate(response.outputs)}
    missing = [name for name in names if name not in outputs]
    if missing:
        raise BadAnswer(f"no output {missing[0]!r}; there are {', '.join(outputs) or 'none'}")
    columns = [_column(response, outputs[name]) for name in names]
    for name, column in zip(names, columns, strict=True):
        if len(column) != rows:
            raise BadAnswer(f"output {name!r} has {len(column)} values for {rows} rows")
    return list(zip(*columns, strict=True))


def read_texts(response: ModelInferResponse, name: str, *, rows: int) -> list[str]:
    """Read one named output of texts; a model without it says "" of every row.

    Raises:
        BadAnswer: it has another type, another number of rows, or is not UTF-8.
    """
    index = next((i for i, output in enumerate(response.outputs) if output.name == name), None)
    if index is None:
        return [""] * rows
    output = response.outputs[index]
    if output.datatype != "BYTES":
        raise BadAnswer(f"output {name!r} is of type {output.datatype!r}, not BYTES")
    texts: Sequence[bytes] = output.contents.bytes_contents
    if index < len(response.raw_output_contents):
        texts = cut_texts(response.raw_output_contents[index], name)
    if len(texts) != rows:
        raise BadAnswer(f"output {name!r} has {len(texts)} values for {rows} rows")
    try:
        return [text.decode() for text in texts]
    except UnicodeDecodeError:
        raise BadAnswer(f"output {name!r} is not UTF-8") from None


def cut_texts(raw: bytes, name: str) -> list[bytes]:
    """Cut texts that follow their lengths, 4 bytes little-endian each; `name` is the tensor's.

    Raises:
        BadAnswer: the last one is cut off.
    """
    texts, start = [], 0
    while start < len(raw):
        end = start + 4 + int.from_bytes(raw[start : start + 4], "little")
        if start + 4 > len(raw) or end > len(raw):
            raise BadAnswer(f"output {name!r} is cut off")
        texts.append(raw[start + 4 : end])
        start = end
    return texts


def _column(response: ModelInferResponse, index: int) -> Sequence[float]:
    output = response.outputs[index]
    if output.datatype not in _NUMBERS:
        raise BadAnswer(f"output {output.name!r} is of type {output.datatype!r}, not FP32 or FP64")
    code, slot = _NUMBERS[output.datatype]
    if not response.raw_output_contents:
        typed: Sequence[float] = getattr(output.contents, slot)
        return typed
    if index >= len(response.raw_output_contents):
        raise BadAnswer(f"output {output.name!r} has no contents")
    raw = response.raw_output_contents[index]
    if len(raw) % struct.calcsize(f"<{code}"):
        raise BadAnswer(f"output {output.name!r} has {len(raw)} bytes, which is no whole number of values")
    return struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw)
