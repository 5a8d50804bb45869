"""Convert between the V2 protocol's tensors, REST and gRPC alike, and the columns that a model version takes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.utils.utils import generate_uuid

from questline_core.errors import BadInput
from questline_kserve.version import Answers, Column

_NUMBERS = frozenset(("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"))
_TAKEN = {"FP32": _NUMBERS | {"FP16", "FP32", "FP64"}, "BYTES": frozenset(("BYTES",))}
"""Datatype of a model's input -> datatypes of tensors that can be converted to it."""


def columns_from_request(request: InferRequest, inputs: Mapping[str, str]) -> dict[str, Column]:
    """Take the columns from a request's tensors; inputs of the model that it does not bring stay away.

    Args:
        request: tensors of the shape [rows] or [rows, 1].
        inputs: the model's inputs, name -> datatype.

    Raises:
        BadInput: names the tensor that the model cannot take, and why.
    """
    columns: dict[str, Column] = {}
    for tensor in request.inputs:
        if tensor.name not in inputs:
            raise BadInput(f"input {tensor.name!r} is unknown; the model takes {', '.join(inputs)}")
        if tensor.name in columns:
            raise BadInput(f"input {tensor.name!r} is given twice")
        columns[tensor.name] = _column(tensor, inputs[tensor.name])
    lengths = {name: len(column) for name, column in columns.items()}
    if not lengths or not all(lengths.values()):
        raise BadInput("the request holds no rows; give at least one input with at least one value")
    if len(set(lengths.values())) > 1:
        raise BadInput(f"inputs must have the same number of rows, but have {lengths}")
    return columns


def columns_of_typed(request: pb.ModelInferRequest, inputs: Mapping[str, str]) -> dict[str, Column] | None:
    """Take the columns from a gRPC request with typed contents, a tenth as dear as by kserve's classes.

    Usual are tensors of the model's own datatypes and of the shape [rows], all rows there, none given twice.

    Returns:
        None for any other request: `columns_from_request` takes it, or tells what is wrong with it.
    """
    if request.raw_input_contents:
        return None
    columns: dict[str, Column] = {}
    rows = request.inputs[0].shape[0] if request.inputs and request.inputs[0].shape else 0
    for tensor in request.inputs:
        name, datatype, contents = tensor.name, tensor.datatype, tensor.contents
        if inputs.get(name) != datatype or list(tensor.shape) != [rows]:
            return None
        if datatype == "FP32":
            columns[name] = np.array(contents.fp32_contents, np.float32)
        else:
            columns[name] = np.array(list(contents.bytes_contents), object)
        if len(columns[name]) != rows:
            return None
    return columns if rows and len(columns) == len(request.inputs) else None


def _column(tensor: InferInput, datatype: str) -> Column:
    if tensor.datatype not in _TAKEN[datatype]:
        raise BadInput(f"input {tensor.name!r} is {tensor.datatype}, but the model takes {datatype} there")
    shape = list(tensor.shape)
    if len(shape) not in {1, 2} or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise BadInput(f"input {tensor.name!r} has the shape {shape}; it must be [rows] or [rows, 1]")
    try:
        values = tensor.as_numpy().reshape(-1)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
            return values if datatype == "BYTES" else values.astype(np.float32, copy=False)
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        reason = str(error).partition("\n")[0]
        raise BadInput(f"input {tensor.name!r} does not hold {shape} of {tensor.datatype}: {reason}") from None


def typed_answer(request: pb.ModelInferRequest, answers: Answers, *, revision: str) -> pb.ModelInferResponse | None:
    """Make the answer to a gRPC request, as `answer` does; None when it asks for an output that the model has not."""
    names = [output.name for output in request.outputs] or list(answers)
    if any(name not in answers for name in names):
        return None
    return _grpc(request.id, request.model_name, answers, names, revision, raw=False)


def answer(request: InferRequest, answers: Answers, *, revision: str) -> InferResponse | pb.ModelInferResponse:
    """Make the answer in the request's protocol, with the outputs that it asks for or else all.

    Raises:
        BadInput: it asks for an output that the model has not.
    """
    asked = [output.name for output in request.request_outputs or ()]
    if missing := [name for name in asked if name not in answers]:
        raise BadInput(f"output {missing[0]!r} is unknown; the model gives {', '.join(answers)}")
    if request.from_grpc:
        raw = bool(request.use_binary_outputs)
        return _grpc(request.id or "", request.model_name, answers, asked or list(answers), revision, raw=raw)
    return InferResponse(
        response_id=request.id or generate_uuid(),
        model_name=request.model_name,
        model_version=revision,
        infer_outputs=[InferOutput(name, list(data.shape), _datatype(data), data) for name, data in answers.items()],
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _grpc(  # noqa: PLR0913 - the parts of one message
    request_id: str, model: str, answers: Answers, names: Sequence[str], revision: str, *, raw: bool
) -> pb.ModelInferResponse:
    """Answer in the form in which was asked: packed bytes for packed bytes, typed contents for typed contents."""
    response = pb.ModelInferResponse(id=request_id, model_name=model, model_version=revision)
    for name in names:
        data = answers[name]
        output = response.outputs.add(name=name, datatype=_datatype(data), shape=data.shape)
        if raw:
            response.raw_output_contents.append(packed(data))
        elif data.dtype == object:
            output.contents.bytes_contents.extend(text.encode() for text in data)
        else:
            output.contents.fp32_contents.extend(data)
    return response


def _datatype(data: Column) -> str:
    return "BYTES" if data.dtype == object else "FP32"


def packed(data: Column) -> bytes:
    """Pack a column as the protocol has it in raw contents: numbers as they are, each text after its length."""
    if data.dtype != object:
        return data.tobytes()
    return b"".join(part for text in map(str.encode, data) for part in (struct.pack("<I", len(text)), text))
