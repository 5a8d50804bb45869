"""Write a fitted spend model as an ONNX graph, which gives the same answers without TensorFlow.

LiteRT has no 64-bit kernels and tf2onnx none for texts, so the graph is written here, node by node. It takes what the
serving process has at hand, a matrix of numbers and one of texts with a line for each input (in the order of the
signature in training.json), and gives a matrix with a line for each output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import structlog
from onnx import TensorProto, helper, numpy_helper

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.spend.network import CLOCK, MEMBERS, OUTERMOST, OUTPUTS, PLAIN, SpendModel

log = structlog.get_logger()

Golden = Mapping[str, Mapping[str, Any]]
"""A request, under `inputs`, and what was answered, under `outputs`."""

TOLERANCE = 1e-6
"""How far an answer may be from the SavedModel's: relative to it, and absolute near zero."""
_OPSET = 19  # the first whose Equal compares texts
_IR = 9


class _Graph:
    """Grows node by node; arrays that are given become constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, operator: str, *inputs: str | np.ndarray[Any, Any], **attributes: Any) -> str:
        """Add a node and name its output."""
        name = f"n{len(self.nodes)}"
        given = [one if isinstance(one, str) else self._constant(one) for one in inputs]
        self.nodes.append(helper.make_node(operator, given, [name], name=name, **attributes))
        return name

    def _constant(self, array: np.ndarray[Any, Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def write_fast(model: SpendModel, file: Path, golden: Sequence[Golden]) -> None:
    """Write the graph if it gives the golden answers; else leave it out and say so in the log."""
    file.unlink(missing_ok=True)
    graph = fast(model)
    if agrees(graph, golden):
        file.write_bytes(graph)
    else:
        log.warning("the model has no fast form: its answers would differ", tolerance=TOLERANCE)


def agrees(graph: bytes, golden: Sequence[Golden]) -> bool:
    """Tell whether a graph gives the golden answers."""
    requests = [one["inputs"] for one in golden]
    numbers = np.array([[one[name] for one in requests] for name in NUMBERS], np.float32)  # None becomes NaN
    texts = np.array([[one[name] for one in requests] for name in TEXTS], object)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (answers,) = session.run(None, {"numbers": numbers, "texts": texts})
    expected = np.array([[one["outputs"][name] for one in golden] for name in OUTPUTS])
    return bool((np.abs(answers - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))).all())


def fast(model: SpendModel) -> bytes:
    """Make the graph of a fitted model."""
    add = _Graph()
    matrix = _preprocess(add, model)
    logit, log_amount = _heads(add, model, matrix)
    probability = add("Sigmoid", add("Add", logit, model.shift.numpy()))
    amount = add("Mul", add("Exp", log_amount), model.scale.numpy())
    value = add("Mul", probability, amount)
    none = add("Sub", np.array(1.0), probability)
    lower = _quantile(add, model, model.lower.numpy(), none, probability, amount)
    upper = _quantile(
        add, model, add("Add", none, add("Mul", probability, model.upper.numpy())), none, probability, amount
    )
    bounded = (value, add("Min", lower, value), add("Max", upper, value), probability)
    add("Cast", add("Concat", *bounded, axis=0), to=TensorProto.FLOAT)
    graph = helper.make_graph(
        add.nodes,
        "spend",
        [
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [len(NUMBERS), "rows"]),
            helper.make_tensor_value_info("texts", TensorProto.STRING, [len(TEXTS), "rows"]),
        ],
        [helper.make_tensor_value_info(add.nodes[-1].output[0], TensorProto.FLOAT, [len(OUTPUTS), "rows"])],
        add.constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(made)
    packed: bytes = made.SerializeToString()
    return packed


def _preprocess(add: _Graph, model: SpendModel) -> str:
    """Do what `Preprocessing` does; lines are inputs until the end, which turns them to columns."""
    zero, known_from = np.array(0.0), model.preprocessing
    numbers = add("Cast", "numbers", to=TensorProto.DOUBLE)
    plain = add("Gather", numbers, np.array([NUMBERS.index(name) for name in PLAIN]), axis=0)
    gap = add("IsNaN", plain)
    logs = add("Log", add("Add", add("Max", add("Where", gap, zero, plain), zero), np.array(1.0)))
    scaled = add("Div", add("Sub", logs, known_from.mean.numpy()[:, None]), known_from.deviation.numpy()[:, None])
    clipped = add("Clip", scaled, np.array(-OUTERMOST), np.array(OUTERMOST))
    hour = add("Gather", numbers, np.array([NUMBERS.index(CLOCK)]), axis=0)
    turn = add("Mul", hour, np.array(2 * np.pi / 24))
    clock = add("Concat", add("Sin", turn), add("Cos", turn), axis=0)
    lines = [
        add("Where", gap, zero, clipped),
        add("Cast", add("Not", gap), to=TensorProto.DOUBLE),
        add("Where", add("IsNaN", clock), zero, clock),
    ]
    for line, name in enumerate(TEXTS):
        words = [[word.decode()] for word in known_from.words[name].numpy()]
        if words:  # Slice, as onnxruntime 1.32's Gather keeps only the first of several texts
            told = add("Slice", "texts", np.array([line]), np.array([line + 1]), np.array([0]))
            lines.append(add("Cast", add("Equal", told, np.array(words, object)), to=TensorProto.DOUBLE))
    return add("Transpose", add("Concat", *lines, axis=0), perm=[1, 0])


def _heads(add: _Graph, model: SpendModel, matrix: str) -> tuple[str, str]:
    """Ask all members at once; a head is one line with a number for each row."""

    def weights(layer: str) -> tuple[Any, Any]:
        members = [model.network.get_layer(f"{layer}-{number}").get_weights() for number in range(MEMBERS)]
        return np.stack([kernel for kernel, _ in members]), np.stack([bias[None, :] for _, bias in members])

    def dense(inputs: str, kernel: Any, bias: Any) -> str:
        return add("Add", add("MatMul", inputs, kernel), bias)

    def mean(members: str) -> str:
        return add("Transpose", add("ReduceMean", members, np.array([0]), keepdims=0), perm=[1, 0])

    hidden = add("Relu", dense(add("Relu", dense(matrix, *weights("first"))), *weights("second")))
    kernel, bias = weights("logit")
    units = kernel.shape[1] - model.network.input_shape[1]
    straight = add("MatMul", matrix, kernel[:, units:])
    return (
        mean(add("Add", dense(hidden, kernel[:, :units], bias), straight)),
        mean(dense(hidden, *weights("amount"))),
    )


def _quantile(  # noqa: PLR0913, PLR0917 - as `SpendModel.quantile` has them, and the graph
    add: _Graph, model: SpendModel, level: Any, none: str, probability: str, amount: str
) -> str:
    """Do what `SpendModel.quantile` does."""
    ratios, zero, one = model.ratios.numpy(), np.array(0.0), np.array(1.0)
    beyond = add("Clip", add("Div", add("Sub", level, none), probability), zero, one)
    place = add("Mul", beyond, np.array(float(len(ratios) - 1)))
    whole = add("Floor", place)
    below = add("Cast", whole, to=TensorProto.INT64)
    above = add("Min", add("Add", below, np.array(1)), np.array(len(ratios) - 1))
    low, high = add("Gather", ratios, below), add("Gather", ratios, above)
    ratio = add("Add", low, add("Mul", add("Sub", high, low), add("Sub", place, whole)))
    return add("Where", add("Greater", beyond, zero), add("Mul", ratio, amount), zero)
