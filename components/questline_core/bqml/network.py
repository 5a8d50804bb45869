"""Dense networks: trained by Keras, answered by NumPy, so that a prediction need not load TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from questline_core.bqml.linear import Problem, Progress
from questline_core.bqml.options import Options
from questline_core.bqml.preprocessing import Array, Matrix
from questline_core.bqml.trees import dense

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@dataclass(frozen=True, slots=True)
class _Activation:
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    """The derivative by the input; for CRELU of both halves, side by side."""


def _exp(x: Array) -> Array:
    return np.exp(np.minimum(x, 0))


_ACTIVATIONS = {
    "RELU": _Activation(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "RELU6": _Activation(lambda x: np.clip(x, 0, 6), lambda x: ((x > 0) & (x < 6)).astype(float)),  # noqa: PLR2004 - its name
    "CRELU": _Activation(
        lambda x: np.maximum(np.hstack([x, -x]), 0), lambda x: np.hstack([x > 0, -(x < 0).astype(float)])
    ),
    "ELU": _Activation(lambda x: np.where(x > 0, x, _exp(x) - 1), lambda x: np.where(x > 0, 1.0, _exp(x))),
    "SELU": _Activation(
        lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * (_exp(x) - 1)),
        lambda x: _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * _exp(x)),
    ),
    "SIGMOID": _Activation(expit, lambda x: expit(x) * (1 - expit(x))),
    "TANH": _Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


@dataclass(frozen=True, slots=True)
class Network:
    """Layers of weights (inputs, outputs) and biases; the last one has no activation."""

    layers: Sequence[tuple[Array, Array]]
    activation: str

    def margins(self, matrix: Matrix) -> Array:
        """Give the value, or the logits, for each row: (rows, outputs)."""
        values, act = dense(matrix).astype(float), _ACTIVATIONS[self.activation].value
        for weights, biases in self.layers[:-1]:
            values = act(values @ weights + biases)
        weights, biases = self.layers[-1]
        return np.asarray(values @ weights + biases)

    def contributions(self, matrix: Matrix, *, steps: int) -> Array:
        """Share the margins out by integrated gradients from zero: (rows, outputs, columns + 1), the bias last."""
        rows, outputs = dense(matrix).astype(float), self.layers[-1][1].shape[0]
        found = np.zeros((len(rows), outputs, rows.shape[1] + 1))
        for step in range(steps):
            found[:, :, :-1] += self._gradients(rows * ((step + 0.5) / steps)) * rows[:, None, :] / steps
        found[:, :, -1] = self.margins(np.zeros((1, rows.shape[1])))
        return found

    def _gradients(self, values: Array) -> Array:
        act, before = _ACTIVATIONS[self.activation], []
        for weights, biases in self.layers[:-1]:
            before.append(values @ weights + biases)
            values = act.value(before[-1])
        back = np.broadcast_to(self.layers[-1][0].T, (len(values), *self.layers[-1][0].T.shape))
        for (weights, _), inner in zip(reversed(self.layers[:-1]), reversed(before), strict=True):
            back = back * act.slope(inner)[:, None, :]
            if self.activation == "CRELU":
                half = weights.shape[1]
                back = back[:, :, :half] + back[:, :, half:]
            back = back @ weights.T
        return back


def train(problem: Problem, held_out: Problem | None, options: Options, progress: Progress, *, seed: int) -> Network:
    """Fit a network, one pass over the rows an iteration; it stops early as `progress` says."""
    import keras  # noqa: PLC0415 - slow to load, and needed for training networks only

    keras.utils.set_random_seed(seed)
    columns = problem.matrix.shape[1]
    model = keras.Sequential([keras.Input((columns,))])
    for units in _hidden_units(problem, options):
        model.add(keras.layers.Dense(units))
        model.add(_activation(options["ACTIVATION_FN"]))
        if options["DROPOUT"]:
            model.add(keras.layers.Dropout(options["DROPOUT"]))
    model.add(keras.layers.Dense(problem.outputs))
    model.compile(optimizer=_optimizer(options), loss=_loss(problem))
    _penalize(model, options)
    data = {"validation_data": (dense(held_out.matrix), held_out.y, held_out.weights)} if held_out else {}
    model.fit(
        dense(problem.matrix),
        problem.y,
        sample_weight=problem.weights,
        batch_size=min(options["BATCH_SIZE"], len(problem.y)),
        epochs=options["MAX_ITERATIONS"],
        callbacks=[_watch(progress, options["LEARN_RATE"])],
        verbose=0,
        **data,
    )
    found = [layer.get_weights() for layer in model.layers if layer.get_weights()]
    return Network([(np.asarray(w, float), np.asarray(b, float)) for w, b in found], options["ACTIVATION_FN"])


def _hidden_units(problem: Problem, options: Options) -> Sequence[int]:
    if options["HIDDEN_UNITS"]:
        return list(options["HIDDEN_UNITS"])
    rows, columns = problem.matrix.shape
    return [max(1, min(128, rows // (10 * (columns + problem.outputs))))]


def _activation(name: str) -> Any:
    import keras  # noqa: PLC0415 - as above

    if name == "CRELU":
        return keras.layers.Lambda(lambda x: keras.ops.relu(keras.ops.concatenate([x, -x], axis=-1)))
    return keras.layers.Activation(name.lower())


def _optimizer(options: Options) -> Any:
    import keras  # noqa: PLC0415 - as above

    rate = options["LEARN_RATE"]
    if options["OPTIMIZER"] == "FTRL":
        strengths = {"l1_regularization_strength": options["L1_REG"], "l2_regularization_strength": options["L2_REG"]}
        return keras.optimizers.Ftrl(rate, **strengths)
    names = {"ADAM": "Adam", "ADAGRAD": "Adagrad", "RMSPROP": "RMSprop", "SGD": "SGD"}
    return getattr(keras.optimizers, names[options["OPTIMIZER"]])(rate)


def _penalize(model: Any, options: Options) -> None:
    import keras  # noqa: PLC0415 - as above

    if options["OPTIMIZER"] in ("ADAGRAD", "SGD") and (options["L1_REG"] or options["L2_REG"]):
        for layer in model.layers:
            if layer.get_weights():
                layer.kernel_regularizer = keras.regularizers.L1L2(options["L1_REG"], options["L2_REG"])


def _loss(problem: Problem) -> Any:
    import keras  # noqa: PLC0415 - as above

    if not problem.classify:
        return keras.losses.MeanSquaredError()
    if problem.outputs == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _watch(progress: Progress, learn_rate: float) -> Any:
    import keras  # noqa: PLC0415 - as above

    class Watch(keras.callbacks.Callback):  # type: ignore[misc] # Keras has no types
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            del epoch
            told = logs or {}
            if progress.note(told["loss"], told.get("val_loss"), learn_rate):
                self.model.stop_training = True

    return Watch()
