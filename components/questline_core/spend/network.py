"""The spend model as one TensorFlow module: preprocessing, a small network with two heads, and the interval.

It computes in 64 bits from end to end, so that an answer does not depend on which rows share its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.metrics import Floats
from questline_core.spend.arrays import Examples
from questline_core.spend.search import Settings

OUTPUTS = ("value", "lower_bound", "upper_bound", "probability")

CLOCK = "local_hour"
PLAIN = tuple(name for name in NUMBERS if name != CLOCK)
_RAREST = 20  # a word that is seen less often counts as unseen
_MOST_WORDS = 40

MEMBERS = 4
"""Networks whose answers are averaged."""


class Preprocessing(tf.Module):  # type: ignore[misc] # TensorFlow ships no types
    """Named inputs to a matrix: logarithms, standardized, a gap is the mean and a flag; an unseen word is no word.

    A number beyond all that was learned from counts as the farthest of those: nothing is known of what lies there, and
    one absurd number must not carry an answer away.
    """

    def __init__(self, examples: Examples) -> None:
        """Learn means, deviations, ranges and words from the examples, and nothing else."""
        super().__init__(name="preprocessing")
        numbers = np.stack([examples.inputs[name].astype(np.float64) for name in PLAIN], axis=1)
        known = np.isfinite(numbers)
        logs = np.log1p(np.maximum(np.where(known, numbers, 0), 0))
        count = np.maximum(known.sum(0), 1)
        mean = (logs * known).sum(0) / count
        deviation = np.sqrt((((logs - mean) * known) ** 2).sum(0) / count)
        filled = np.where(known, logs, mean)
        self.least, self.most = tf.constant(filled.min(0)), tf.constant(filled.max(0))
        self.mean, self.deviation = tf.constant(mean), tf.constant(np.where(deviation > 0, deviation, 1.0))
        self.words = {name: tf.constant(_words(examples.inputs[name]), tf.string) for name in TEXTS}

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """Give the matrix, one row an example; columns are in the order of the names."""
        numbers = tf.stack([tf.cast(inputs[name], tf.float64) for name in PLAIN], axis=1)
        known = ~tf.math.is_nan(numbers)
        logs = tf.math.log(1 + tf.maximum(tf.where(known, numbers, tf.zeros_like(numbers)), 0))
        scaled = (tf.clip_by_value(logs, self.least, self.most) - self.mean) / self.deviation
        hour = tf.cast(inputs[CLOCK], tf.float64)[:, None] * (2 * np.pi / 24)
        clock = tf.concat([tf.sin(hour), tf.cos(hour)], axis=1)
        words = [tf.cast(inputs[name][:, None] == self.words[name][None, :], tf.float64) for name in TEXTS]
        return tf.concat(
            [
                tf.where(known, scaled, tf.zeros_like(scaled)),
                tf.cast(known, tf.float64),
                tf.where(tf.math.is_finite(clock), clock, tf.zeros_like(clock)),
                *words,
            ],
            axis=1,
        )


def _words(column: Any) -> list[str]:
    """Choose the words to know: the most usual ones, and "" for "not known" where it occurs."""
    words, counts = np.unique(column.astype(str), return_counts=True)
    usual = sorted(zip(-counts, words, strict=True))[:_MOST_WORDS]
    return [str(word) for count, word in usual if -count >= _RAREST]


def make_network(width: int, settings: Settings, *, base_rate: float, dtype: str) -> Any:
    """Make the untrained networks: matrix -> [logits of any spend, logs of the amount if there is one], one a member.

    Args:
        width: columns of the matrix.
        settings: of each member.
        base_rate: share of examples with spend, where the propensity begins.
        dtype: float32 to train, float64 to serve.
    """
    matrix = tf.keras.Input((width,), dtype=dtype)
    members = [_member(number, matrix, settings, base_rate=base_rate, dtype=dtype) for number in range(MEMBERS)]
    join = tf.keras.layers.Concatenate(dtype=dtype)
    return tf.keras.Model(matrix, [join([logit for logit, _ in members]), join([amount for _, amount in members])])


def _member(number: int, matrix: Any, settings: Settings, *, base_rate: float, dtype: str) -> tuple[Any, Any]:
    """Make one of the small networks whose answers are averaged: each begins elsewhere, and errs elsewhere."""
    layers, decay = tf.keras.layers, tf.keras.regularizers.L2(settings.decay)

    def dense(units: int, layer: str, **more: Any) -> Any:
        return layers.Dense(units, name=f"{layer}-{number}", kernel_regularizer=decay, dtype=dtype, **more)

    hidden = dense(settings.width, "first", activation="relu")(matrix)
    hidden = layers.Dropout(settings.dropout, dtype=dtype)(hidden)
    hidden = dense(settings.width // 2, "second", activation="relu")(hidden)
    wide = layers.Concatenate(dtype=dtype)([hidden, matrix])  # a straight path: few data are explained nearly linearly
    prior = tf.keras.initializers.Constant(math.log(base_rate / (1 - base_rate)))
    logit = dense(1, "logit", kernel_initializer="zeros", bias_initializer=prior)(wide)
    return logit, dense(1, "amount", kernel_initializer="zeros")(hidden)


def for_serving(network: Any, settings: Settings) -> Any:
    """Copy a trained network to 64 bits."""
    copy = make_network(network.input_shape[1], settings, base_rate=0.5, dtype="float64")
    copy.set_weights(network.get_weights())
    return copy


class SpendModel(tf.Module):  # type: ignore[misc] # as above
    """What is saved and served: named 1-D tensors in, expected spend, its interval and the probability of any out."""

    def __init__(self, preprocessing: Preprocessing, network: Any, *, scale: float) -> None:
        """Join the parts.

        Args:
            preprocessing: made from the training examples.
            network: the trained network.
            scale: virtual currency that an amount of 1 stands for.
        """
        super().__init__(name="spend")
        self.preprocessing, self.network = preprocessing, network
        self.set_level(shift=0.0, scale=scale)
        self.set_interval(np.array([1.0, 1.0]), lower=0.0, upper=1.0)

    def set_level(self, *, shift: float, scale: float) -> None:
        """Fix what is added to every logit, and the virtual currency that an amount of 1 stands for."""
        self.shift, self.scale = tf.constant(shift, tf.float64), tf.constant(scale, tf.float64)

    def set_interval(self, ratios: Floats, *, lower: float, upper: float) -> None:
        """Fix which quantiles are the bounds.

        Args:
            ratios: quantiles of actual by predicted amount, of those who spend, at even steps from 0 to 1.
            lower: level of the lower bound, a quantile of the spend of all, and so mostly zero.
            upper: level of the upper bound, a quantile of the amount of those who spend.
        """
        self.ratios = tf.constant(ratios, tf.float64)
        self.lower, self.upper = tf.constant(lower, tf.float64), tf.constant(upper, tf.float64)

    def heads(self, inputs: Mapping[str, Any], voters: Any = None) -> tuple[Any, Any]:
        """Give the probability of any spend, and the expected amount if there is one.

        Args:
            inputs: named 1-D tensors.
            voters: for each row one network, one-hot, that answers alone; all do if it is None.
        """
        heads = self.network(self.preprocessing(inputs), training=False)
        logit, log_amount = (
            tf.reduce_mean(head, axis=1) if voters is None else tf.reduce_sum(head * voters, axis=1) for head in heads
        )
        return tf.sigmoid(logit + self.shift), self.scale * tf.exp(log_amount)

    def quantile(self, level: Any, probability: Any, amount: Any) -> Any:
        """Give a quantile of the spend, which is zero with 1 - probability and a multiple of the amount else."""
        beyond = tf.clip_by_value((level - (1 - probability)) / probability, 0, 1)
        place = beyond * tf.cast(tf.size(self.ratios) - 1, tf.float64)
        below = tf.cast(tf.floor(place), tf.int32)
        above = tf.minimum(below + 1, tf.size(self.ratios) - 1)
        low, high = tf.gather(self.ratios, below), tf.gather(self.ratios, above)
        ratio = low + (high - low) * (place - tf.floor(place))
        return tf.where(beyond > 0, ratio * amount, tf.zeros_like(amount))

    def answer(self, **inputs: Any) -> dict[str, Any]:
        """Answer for all rows of the named inputs; this is the signature that is served."""
        probability, amount = self.heads(inputs)
        value = probability * amount
        lower = tf.minimum(self.quantile(self.lower, probability, amount), value)
        upper = tf.maximum(self.quantile(1 - probability + probability * self.upper, probability, amount), value)
        outputs = dict(zip(OUTPUTS, (value, lower, upper, probability), strict=True))
        return {name: tf.cast(output, tf.float32) for name, output in outputs.items()}


def signature_specs() -> dict[str, Any]:
    """Describe the inputs of the signature: one 1-D tensor for each."""
    return {name: tf.TensorSpec([None], tf.float32, name=name) for name in NUMBERS} | {
        name: tf.TensorSpec([None], tf.string, name=name) for name in TEXTS
    }


def tensors(inputs: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Make the tensors of named columns, as a request brings them: numbers in 32 bits."""
    return {name: tf.constant(np.asarray(inputs[name], np.float64).astype(np.float32)) for name in NUMBERS} | {
        name: tf.constant(np.asarray(inputs[name], object)) for name in TEXTS
    }
