"""Questions that are parsed for their values only, and those that must go the long way."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from numpy.typing import NDArray

from questline_kserve.forms import Forms
from questline_kserve.version import Column

Request = pb.ModelInferRequest


@dataclass(frozen=True)
class Summing:
    """Answers the sum of what is known of both numbers, and the text."""

    revision: str = "v1"
    platform: str = "test"
    inputs: Mapping[str, str] = field(default_factory=lambda: {"a": "FP32", "text": "BYTES", "b": "FP32"})
    outputs: Mapping[str, str] = field(default_factory=lambda: {"sum": "FP32", "said": "BYTES"})

    def predict(self, columns: Mapping[str, Column]) -> Mapping[str, Column]:
        raise NotImplementedError

    def predict_packed(self, numbers: NDArray[np.float32], texts: Column) -> Mapping[str, Column]:
        return {
            "sum": np.nansum(numbers * [[1], [10]], axis=0).astype(np.float32),
            "said": np.array([text.decode() for text in texts[0]], object),
        }


def texts(*some: str) -> bytes:
    return b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in some)


def numbers(*some: float) -> bytes:
    return np.array(some, np.float32).tobytes()


def question(request_id: str = "", *, rows: int = 2, **packed: bytes) -> Request:
    made = Request(model_name="m", id=request_id)
    for name, values in packed.items():
        made.inputs.add(name=name, datatype="BYTES" if name == "text" else "FP32", shape=[rows])
        made.raw_input_contents.append(values)
    return made


def answer(forms: Forms, asked: Request) -> pb.ModelInferResponse:
    read = forms.question(asked)
    assert read is not None
    return pb.ModelInferResponse.FromString(read.answer(forms.version.predict_packed(read.numbers, read.texts)))


def test_each_question_of_a_form_gets_the_answer_to_its_own_values_and_id() -> None:
    forms = Forms("m", Summing())

    first = answer(forms, question("one", a=numbers(1, 2), text=texts("ж", ""), b=numbers(3, 4)))
    second = answer(forms, question("two", a=numbers(5, 6), text=texts("x", "yz"), b=numbers(7, 8)))

    assert (first.id, first.model_name, first.model_version) == ("one", "m", "v1")
    assert [(one.name, one.datatype, list(one.shape)) for one in first.outputs] == [
        ("sum", "FP32", [2]),
        ("said", "BYTES", [2]),
    ]
    assert list(first.raw_output_contents) == [numbers(31, 42), texts("ж", "")]
    assert (second.id, list(second.raw_output_contents)) == ("two", [numbers(75, 86), texts("x", "yz")])


def test_inputs_may_come_in_any_order_or_stay_away() -> None:
    forms = Forms("m", Summing())

    swapped = answer(forms, question(b=numbers(3, 4), a=numbers(1, 2), text=texts("x", "y")))
    alone = answer(forms, question(b=numbers(3, 4)))

    assert swapped.raw_output_contents[0] == numbers(31, 42)
    assert list(alone.raw_output_contents) == [numbers(30, 40), texts("", "")]


def test_only_the_outputs_that_are_asked_for_are_given() -> None:
    asked = question(a=numbers(1, 2))
    asked.outputs.add(name="said")

    given = answer(Forms("m", Summing()), asked)

    assert [one.name for one in given.outputs] == ["said"]
    assert list(given.raw_output_contents) == [texts("", "")]


def _with(change: Callable[[Request], object]) -> Request:
    made = question(a=numbers(1, 2), text=texts("x", "y"))
    change(made)
    return made


@pytest.mark.parametrize(
    "asked",
    [
        question(a=numbers(1)),
        question(a=numbers(1, 2)[:-1]),
        question(text=texts("x")),
        question(text=texts("x", "y")[:-1]),
        question(text=texts("x", "y", "z")),
        question(rows=0, a=b""),
        question(rows=2**40, text=b""),
        question(rows=2**40, a=b""),
        question(c=numbers(1, 2)),
        _with(lambda made: made.inputs[0].shape.append(1)),
        _with(lambda made: made.inputs[0].contents.fp32_contents.append(1)),
        _with(lambda made: made.inputs.append(made.inputs[0])),
        _with(lambda made: made.raw_input_contents.append(b"")),
        _with(lambda made: made.outputs.add(name="colour")),
        _with(lambda made: setattr(made.inputs[0], "datatype", "FP64")),
        Request(model_name="m", raw_input_contents=[b""]),
    ],
)
def test_what_has_no_form_goes_the_long_way(asked: Request) -> None:
    assert Forms("m", Summing()).question(asked) is None
