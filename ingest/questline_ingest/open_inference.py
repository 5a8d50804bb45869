"""The two messages of the Open Inference Protocol that the gateway needs: rows in, columns of numbers out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from questline_core.errors import QuestlineError
from questline_ingest.pb.open_inference_pb2 import ModelInferRequest, ModelInferResponse

INFER = "/inference.GRPCInferenceService/ModelInfer"

Row = Mapping[str, float | str]
"""One value for each named input of a model."""

_NUMBERS = {"FP32": ("f", "fp32_contents"), "FP64": ("d", "fp64_contents")}


class ModelUnavailable(QuestlineError):
    """Raised when a model gave no answer that can be used."""

    def __init__(self, model: str, reason: str, detail: str) -> None:
        super().__init__(f"the model {model!r} gave no usable answer ({reason}): {detail}")
        self.reason, self.detail = reason, detail


class BadAnswer(ValueError):
    """Raised when a model's answer is not what the protocol and the model's signature promise."""


def write_request(model: str, rows: Sequence[Row]) -> ModelInferRequest:
    """Ask a model about all rows at once: one tensor of shape [n] for each input, FP32 or BYTES."""
    request = ModelInferRequest(model_name=model)
    for name, example in rows[0].items():
        text = isinstance(example, str)
        tensor = request.inputs.add(name=name, datatype="BYTES" if text else "FP32", shape=[len(rows)])
        if text:
            tensor.contents.bytes_contents.extend([str(row[name]).encode() for row in rows])
        else:
            tensor.contents.fp32_contents.extend([float(row[name]) for row in rows])
    return request


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
        texts = _cut_texts(response.raw_output_contents[index], name)
    if len(texts) != rows:
        raise BadAnswer(f"output {name!r} has {len(texts)} values for {rows} rows")
    try:
        return [text.decode() for text in texts]
    except UnicodeDecodeError:
        raise BadAnswer(f"output {name!r} is not UTF-8") from None


def _cut_texts(raw: bytes, name: str) -> list[bytes]:
    """Cut texts that follow their lengths, 4 bytes little-endian each."""
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
