"""Linear and logistic regression: by the normal equation, by L-BFGS with line search, or by gradient steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import log_softmax, softmax

from questline_core.bqml.options import Options
from questline_core.bqml.preprocessing import Array, Matrix

_MOST_COLUMNS = 10_000
"""AUTO_STRATEGY: above this many columns, or below ten rows a column, the normal equation is not used."""


@dataclass
class Progress:
    """The iterations of a training, and whether it should go on."""

    early_stop: bool
    min_rel_progress: float
    rows: list[dict[str, float | int | None]] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def note(self, loss: float, eval_loss: float | None, learning_rate: float | None) -> bool:
        """Write down an iteration; tells whether training should stop, judged by held-out rows where there are some."""
        now = time.monotonic()
        self.rows.append(
            {
                "iteration": len(self.rows),
                "loss": loss,
                "eval_loss": eval_loss,
                "learning_rate": learning_rate,
                "duration_ms": round(1000 * (now - self._since)),
            }
        )
        self._since = now
        judged = [row["loss"] if row["eval_loss"] is None else row["eval_loss"] for row in self.rows[-2:]]
        if not self.early_stop or len(judged) < 2 or judged[0] is None or judged[1] is None:  # noqa: PLR2004 - this and the last
            return False
        return judged[0] - judged[1] < self.min_rel_progress * abs(judged[0])


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights (outputs, columns) and intercepts (outputs); one output for regression and for two classes."""

    weights: Array
    intercepts: Array

    def margins(self, matrix: Matrix) -> Array:
        """Give the value, or the logits, for each row: (rows, outputs)."""
        return np.asarray(matrix @ self.weights.T) + self.intercepts


@dataclass(frozen=True)
class Problem:
    """Rows to fit: y (rows,) holds values or class numbers; `outputs` is 1, or the number of classes above two."""

    matrix: Matrix
    y: Array
    weights: Array
    outputs: int
    classify: bool

    @cached_property
    def share(self) -> Array:
        """Give each row's part of the mean loss."""
        return np.asarray(self.weights / self.weights.sum())

    def loss(self, model: Linear) -> tuple[float, Array]:
        """Give the mean loss and its derivative by the margins; the last answer is kept, for who asks twice."""
        key = model.weights.tobytes() + model.intercepts.tobytes()
        if self._last.get("key") != key:
            self._last.update(key=key, answer=self._loss(model))
        answer: tuple[float, Array] = self._last["answer"]
        return answer

    @cached_property
    def _last(self) -> dict[str, Any]:
        return {}

    def _loss(self, model: Linear) -> tuple[float, Array]:
        margins, share = model.margins(self.matrix), self.share[:, None]
        if not self.classify:
            error = margins - self.y[:, None]
            return float((share * error**2).sum()), 2 * share * error
        if self.outputs == 1:
            margin = margins[:, 0]
            small = np.exp(-np.abs(margin))  # one exponential gives both the loss and its slope, without overflow
            more = 1 + small
            losses = np.maximum(margin, 0)
            losses += np.log(more)
            losses -= self.y * margin
            np.copyto(small, 1.0, where=margin >= 0)
            small /= more  # the probability; from here on in its place
            small -= self.y
            small *= self.share
            return float(np.einsum("i,i", self.share, losses)), small[:, None]
        rows = np.arange(len(self.y))
        slope = softmax(margins, axis=1)
        slope[rows, self.y] -= 1
        return float(-(self.share @ log_softmax(margins, axis=1)[rows, self.y])), share * slope


def train(problem: Problem, held_out: Problem | None, options: Options, progress: Progress) -> Linear:
    """Fit; penalties count per training as in scikit-learn: total loss + L1·|w| + L2·w²/2, the intercept is free."""
    strategy = options["OPTIMIZE_STRATEGY"] if options.model_type == "LINEAR_REG" else "BATCH_GRADIENT_DESCENT"
    rows, columns = problem.matrix.shape
    enough = columns <= _MOST_COLUMNS and rows >= 10 * columns and not options["L1_REG"]
    judge: Callable[[Linear, float | None], bool] = lambda model, rate: progress.note(  # noqa: E731 - one expression
        problem.loss(model)[0], held_out.loss(model)[0] if held_out else None, rate
    )
    if strategy == "NORMAL_EQUATION" or (strategy == "AUTO_STRATEGY" and enough):
        model = _solve(problem, l2=options["L2_REG"], intercept=options["FIT_INTERCEPT"])
        judge(model, None)
        return model
    return _descend(problem, options, judge)


def _solve(problem: Problem, *, l2: float, intercept: bool) -> Linear:
    matrix, share = problem.matrix, problem.share
    means = np.asarray(matrix.T @ share) if intercept else np.zeros(matrix.shape[1])
    centre = float(share @ problem.y) if intercept else 0.0
    weighted = sparse.diags(share) @ matrix if sparse.issparse(matrix) else matrix * share[:, None]
    gram = matrix.T @ weighted
    gram = np.asarray(gram.todense() if sparse.issparse(gram) else gram) - np.outer(means, means)
    gram += np.eye(len(gram)) * l2 / len(problem.y)
    right = np.asarray(weighted.T @ problem.y) - means * centre
    weights = np.linalg.lstsq(gram, right, rcond=1e-12)[0]
    return Linear(weights[None, :], np.array([centre - means @ weights]))


def _descend(problem: Problem, options: Options, judge: Callable[[Linear, float | None], bool]) -> Linear:
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to load, and needed for training only

    columns, outputs, free = problem.matrix.shape[1], problem.outputs, options["FIT_INTERCEPT"]
    l1, l2 = (options[name] / len(problem.y) for name in ("L1_REG", "L2_REG"))
    size = outputs * columns

    def model_of(flat: Array) -> Linear:
        weights = flat[:size] if not l1 else flat[:size] - flat[size : 2 * size]
        return Linear(weights.reshape(outputs, columns), flat[-outputs:] if free else np.zeros(outputs))

    def objective(flat: Array) -> tuple[float, Array]:
        model = model_of(flat)
        loss, slope = problem.loss(model)
        by_weight = np.asarray(problem.matrix.T @ slope).T.ravel() + l2 * model.weights.ravel()
        by_intercept = slope.sum(axis=0) if free else np.zeros(outputs)
        loss += l2 / 2 * float((model.weights**2).sum()) + l1 * float(flat[: 2 * size].sum() if l1 else 0)
        parts = [by_weight + l1, -by_weight + l1, by_intercept] if l1 else [by_weight, by_intercept]
        return loss, np.concatenate(parts)

    start = np.zeros(size * (2 if l1 else 1) + outputs)
    if options["LEARN_RATE_STRATEGY"] == "CONSTANT":
        return model_of(
            _constant(start, objective, options, lambda x, rate: judge(model_of(x), rate), positive=2 * size * bool(l1))
        )

    def callback(flat: Array) -> None:
        if judge(model_of(flat), None):
            raise StopIteration

    # L1 is smooth when a weight is the difference of two numbers that cannot be negative.
    bounds = [(0, None)] * (2 * size) + [(None, None)] * outputs if l1 else None
    limits = {"maxiter": options["MAX_ITERATIONS"], "ftol": 0.0, "gtol": 1e-10, "maxcor": 10}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=limits)
    return model_of(found.x)


def _constant(
    flat: Array,
    objective: Callable[[Array], tuple[float, Array]],
    options: Options,
    judge: Callable[[Array, float], bool],
    *,
    positive: int,
) -> Array:
    rate = float(options["LEARN_RATE"])
    for _ in range(options["MAX_ITERATIONS"]):
        flat = flat - rate * objective(flat)[1]
        flat[:positive] = np.maximum(flat[:positive], 0)
        if judge(flat, rate):
            break
    return flat
