"""Write a fitted spend model as an ONNX graph, which gives the same answers without TensorFlow.

LiteRT has no 64-bit kernels and tf2onnx none for texts, so the graph is written here, node by node, and with few of
them: a node costs more than its arithmetic. `questline_core.models.fast` tells what it takes and gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import structlog
from onnx import TensorProto, helper, numpy_helper

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.models.fast import WORDS, opened
from questline_core.spend.network import CLOCK, MEMBERS, OUTPUTS, PLAIN, SpendModel

log = structlog.get_logger()

Golden = Mapping[str, Mapping[str, Any]]
"""A request, under `inputs`, and what was answered, under `outputs`."""

TOLERANCE = 1e-6
"""How far an answer may be from the SavedModel's: relative to it, and absolute near zero."""
_OPSET, _IR = 19, 9
_PLAIN = [NUMBERS.index(name) for name in PLAIN]
_TWO_MORE = ((0, 0), (0, 0), (0, 2))


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
    answers = opened(graph)(numbers, texts)
    expected = np.array([[one["outputs"][name] for one in golden] for name in OUTPUTS])
    return bool((np.abs(answers - expected) <= TOLERANCE * np.maximum(1, np.abs(expected))).all())


def fast(model: SpendModel) -> bytes:
    """Make the graph of a fitted model."""
    add = _Graph()
    heads = _heads(add, model, _preprocess(add, model))
    logit, log_amount = (add("Slice", heads, np.array([head]), np.array([head + 1]), np.array([0])) for head in (0, 1))
    probability, amount = add("Sigmoid", logit), add("Exp", log_amount)
    value = add("Mul", probability, amount)
    lower = add("Min", _lower(add, model, probability, amount), value)
    upper = add("Max", add("Mul", amount, _ratio(model, model.upper.numpy())), value)
    add("Cast", add("Concat", value, lower, upper, probability, axis=0), to=TensorProto.FLOAT)
    graph = helper.make_graph(
        add.nodes,
        "spend",
        [
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, [len(NUMBERS), "rows"]),
            helper.make_tensor_value_info("words", TensorProto.INT64, [len(TEXTS), "rows"]),
        ],
        [helper.make_tensor_value_info(add.nodes[-1].output[0], TensorProto.FLOAT, [len(OUTPUTS), "rows"])],
        add.constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    words = [[word.decode() for word in model.preprocessing.words[name].numpy()] for name in TEXTS]
    helper.set_model_props(made, {WORDS: json.dumps(words)})
    onnx.checker.check_model(made)
    packed: bytes = made.SerializeToString()
    return packed


def _preprocess(add: _Graph, model: SpendModel) -> str:
    """Do what `Preprocessing` does to numbers: one line a row, with all numbers, all gaps, and the clock.

    All numbers go the same way, the clock's to weights of zero. A gap becomes what has zero as its standard form.
    """
    of = model.preprocessing
    least, most, mean, deviation = (
        np.insert(learned.numpy(), NUMBERS.index(CLOCK), 1.0) for learned in (of.least, of.most, of.mean, of.deviation)
    )
    numbers = add("Transpose", add("Cast", "numbers", to=TensorProto.DOUBLE), perm=[1, 0])
    gap = add("IsNaN", numbers)
    logs = add("Log", add("Add", add("Relu", add("Where", gap, np.expm1(mean), numbers)), np.array(1.0)))
    scaled = add("Div", add("Sub", add("Min", add("Max", logs, least), most), mean), deviation)
    turn = add("Mul", add("Gather", numbers, np.array([NUMBERS.index(CLOCK)]), axis=1), np.array(2 * np.pi / 24))
    clock = add("Concat", add("Sin", turn), add("Cos", turn), axis=1)
    clock = add("Where", add("IsNaN", clock), np.array(0.0), clock)
    return add("Concat", scaled, add("Cast", gap, to=TensorProto.DOUBLE), clock, axis=1)


def _heads(add: _Graph, model: SpendModel, matrix: str) -> str:
    """Ask all members at once; two lines, the logit and the logarithm of the amount, with a number for each row.

    The straight path goes through the layers as two units more: what of it is above zero, and what is below.
    """
    (first, bias), (second, second_bias) = _weights(model, "first"), _weights(model, "second")
    (logit, logit_bias), (amount, amount_bias) = _weights(model, "logit"), _weights(model, "amount")
    units = amount.shape[1]
    straight = logit[:, units:]
    kernel, table = _of_inputs(np.concatenate([first, straight, -straight], axis=2), np.pad(bias, _TWO_MORE))
    words = add("ReduceSum", add("Gather", table, "words", axis=1), np.array([1]), keepdims=0)
    hidden = add("Relu", add("Add", add("MatMul", matrix, kernel), words))
    through = np.pad(second, ((0, 0), (0, 2), (0, 2)))
    through[:, [-2, -1], [-2, -1]] = 1
    hidden = add("Relu", add("Add", add("MatMul", hidden, through), np.pad(second_bias, _TWO_MORE)))
    last = np.pad(np.concatenate([logit[:, :units], amount], axis=2), ((0, 0), (0, 2), (0, 0)))
    last[:, -2:, 0] = 1, -1
    level = np.array([model.shift.numpy() + logit_bias.mean(), np.log(model.scale.numpy()) + amount_bias.mean()])
    mean = add("ReduceMean", add("MatMul", hidden, last), np.array([0]), keepdims=0)
    return add("Transpose", add("Add", mean, level), perm=[1, 0])


def _weights(model: SpendModel, layer: str) -> tuple[Any, Any]:
    """Give the kernels and biases of a layer, [members, inputs, units] and [members, 1, units]."""
    members = [model.network.get_layer(f"{layer}-{number}").get_weights() for number in range(MEMBERS)]
    return np.stack([kernel for kernel, _ in members]), np.stack([bias[None, :] for _, bias in members])


def _of_inputs(kernel: Any, bias: Any) -> tuple[Any, Any]:
    """Turn the weights of `Preprocessing`'s columns to those of the matrix of `_preprocess`, and to a table of words.

    A number that is known is one that is no gap. Each text has one word, which brings its part of the bias; the last
    line of the table is for words that nobody knows.
    """
    plain, clock = len(PLAIN), 2
    known = kernel[:, plain : 2 * plain]
    numbers = np.zeros((MEMBERS, 2 * len(NUMBERS) + clock, kernel.shape[2]))
    numbers[:, _PLAIN] = kernel[:, :plain]
    numbers[:, [len(NUMBERS) + line for line in _PLAIN]] = -known
    numbers[:, -clock:] = kernel[:, 2 * plain : 2 * plain + clock]
    table = np.pad(kernel[:, 2 * plain + clock :], ((0, 0), (0, 1), (0, 0)))
    return numbers, table + (bias + known.sum(axis=1, keepdims=True)) / len(TEXTS)


def _ratio(model: SpendModel, level: float) -> Any:
    """Give the quantile of actual by predicted amount at a level from 0 to 1, as `SpendModel.quantile` does."""
    ratios = model.ratios.numpy()
    return np.array(np.interp(level * (len(ratios) - 1), np.arange(len(ratios)), ratios) if level > 0 else 0.0)


def _lower(add: _Graph, model: SpendModel, probability: str, amount: str) -> str:
    """Do what `SpendModel.quantile` does at the level of the lower bound."""
    ratios, zero, one = model.ratios.numpy(), np.array(0.0), np.array(1.0)
    over = add("Add", probability, np.array(model.lower.numpy() - 1))
    beyond = add("Clip", add("Div", over, probability), zero, one)
    place = add("Mul", beyond, np.array(float(len(ratios) - 1)))
    whole = add("Floor", place)
    below = add("Cast", whole, to=TensorProto.INT64)
    low, step = add("Gather", ratios, below), add("Gather", np.append(np.diff(ratios), 0), below)
    ratio = add("Add", low, add("Mul", step, add("Sub", place, whole)))
    return add("Where", add("Greater", beyond, zero), add("Mul", ratio, amount), zero)
