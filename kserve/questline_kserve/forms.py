"""Read gRPC questions of a form that came before: all of a question but its id and its values is parsed only once."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from questline_kserve import tensors
from questline_kserve.version import Answers, Column, Servable, named

_KEPT = 256
"""Forms that are remembered of each revision: clients have few, but one for each number of rows."""
_length = struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """Questions with packed tensors of the model's own datatypes and of the shape [rows], none given twice."""

    rows: int
    numbers: Mapping[int, int]
    """Where a tensor stands in the question -> its line in the model's matrix of numbers."""
    texts: Mapping[int, int]
    """The same for texts."""
    all_numbers: bool
    """Whether every number of the model is given, in the order of its lines."""
    outputs: Sequence[str]
    """What is asked for."""
    answer: bytes
    """The answer without its id and its values."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question that has a form."""

    form: Form
    id: str
    numbers: NDArray[np.float32]
    texts: Column

    def answer(self, answers: Answers) -> bytes:
        """Give the answer as bytes of the protocol: those of its parts, which a message may be put together of."""
        values = [tensors.packed(answers[name]) for name in self.form.outputs]
        return self.form.answer + pb.ModelInferResponse(id=self.id, raw_output_contents=values).SerializeToString()


class Forms:
    """Reads questions to one revision."""

    def __init__(self, model: str, version: Servable) -> None:
        """Begin with no form."""
        self.version = version
        self._model = model
        self._lines = {kind: named(version.inputs, kind) for kind in ("FP32", "BYTES")}
        self._form = lru_cache(_KEPT)(self._parse)

    def question(self, request: pb.ModelInferRequest) -> Question | None:
        """Read a question, which is taken apart; None when it has no form."""
        packed, request_id = list(request.raw_input_contents), request.id
        request.ClearField("raw_input_contents")
        request.ClearField("id")
        form = self._form(request.SerializeToString())
        if form is None or len(packed) != len(form.numbers) + len(form.texts):
            return None
        numbers = [packed[place] for place in form.numbers]
        texts = [_cut(packed[place]) for place in form.texts]
        if any(len(one) != 4 * form.rows for one in numbers) or any(len(one) != form.rows for one in texts):
            return None
        return Question(form, request_id, self._numbers(form, numbers), self._texts(form, texts))

    def _numbers(self, form: Form, given: Sequence[bytes]) -> NDArray[np.float32]:
        """Make the model's matrix of numbers, where NaN is not known."""
        matrix = np.frombuffer(b"".join(given), np.float32).reshape(len(given), form.rows)
        if form.all_numbers:
            return matrix
        whole = np.full((len(self._lines["FP32"]), form.rows), np.nan, np.float32)
        whole[list(form.numbers.values())] = matrix
        return whole

    def _texts(self, form: Form, given: Sequence[Sequence[bytes]]) -> Column:
        """Make the model's matrix of texts, where b"" is not known."""
        whole = np.full((len(self._lines["BYTES"]), form.rows), b"", object)
        for line, texts in zip(form.texts.values(), given, strict=True):
            whole[line] = texts
        return whole

    def _parse(self, question: bytes) -> Form | None:
        """Read a question without its values; None when they cannot be taken as they come."""
        request = pb.ModelInferRequest.FromString(question)
        tensors_in = {tensor.name: tensor for tensor in request.inputs}
        outputs = [output.name for output in request.outputs] or list(self.version.outputs)
        rows = request.inputs[0].shape[0] if request.inputs and request.inputs[0].shape else 0
        usual = all(
            tensor.datatype == self.version.inputs.get(name)
            and list(tensor.shape) == [rows]
            and not tensor.HasField("contents")
            for name, tensor in tensors_in.items()
        )
        known = all(name in self.version.outputs for name in outputs)
        if rows < 1 or not usual or not known or len(tensors_in) != len(request.inputs):
            return None
        numbers, texts = self._places(request, "FP32"), self._places(request, "BYTES")
        return Form(
            rows=rows,
            numbers=numbers,
            texts=texts,
            all_numbers=list(numbers.values()) == list(range(len(self._lines["FP32"]))),
            outputs=outputs,
            answer=self._answer(outputs, rows),
        )

    def _places(self, request: pb.ModelInferRequest, kind: str) -> dict[int, int]:
        lines = self._lines[kind]
        return {at: lines.index(one.name) for at, one in enumerate(request.inputs) if one.datatype == kind}

    def _answer(self, outputs: Sequence[str], rows: int) -> bytes:
        answer = pb.ModelInferResponse(model_name=self._model, model_version=self.version.revision)
        for name in outputs:
            answer.outputs.add(name=name, datatype=self.version.outputs[name], shape=[rows])
        return answer.SerializeToString()


def _cut(packed: bytes) -> list[bytes]:
    """Cut texts that follow their lengths; one that is cut off in the middle is left out, and all after it."""
    texts, start, end = [], 0, len(packed)
    while start + 4 <= end:
        begin = start + 4
        start = begin + _length.unpack_from(packed, start)[0]
        if start <= end:
            texts.append(packed[begin:start])
    return texts
