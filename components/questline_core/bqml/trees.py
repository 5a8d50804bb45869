"""Boosted trees by XGBoost, told in BigQuery ML's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from questline_core.bqml.linear import Problem, Progress
from questline_core.bqml.options import Options
from questline_core.bqml.preprocessing import Array, Matrix, spelled_out
from questline_core.errors import BadInput

if TYPE_CHECKING:
    import xgboost as xgb

_THREADS = 1
"""On a busy machine threads wait for each other: with two, 5,000 rows took 13 times as long as with one."""

_SAME = {
    "MAX_TREE_DEPTH": "max_depth",
    "L1_REG": "alpha",
    "L2_REG": "lambda",
    "LEARN_RATE": "eta",
    "MIN_TREE_CHILD_WEIGHT": "min_child_weight",
    "MIN_SPLIT_LOSS": "gamma",
    "SUBSAMPLE": "subsample",
    "COLSAMPLE_BYTREE": "colsample_bytree",
    "COLSAMPLE_BYLEVEL": "colsample_bylevel",
    "COLSAMPLE_BYNODE": "colsample_bynode",
    "NUM_PARALLEL_TREE": "num_parallel_tree",
}


@dataclass(frozen=True, slots=True)
class Trees:
    """A trained booster."""

    booster: xgb.Booster

    def margins(self, matrix: Matrix) -> Array:
        """Give the value, or the logits, for each row: (rows, outputs)."""
        found = self.booster.predict(_matrix(matrix), output_margin=True)
        return np.asarray(found, float).reshape(len(found), -1)

    def contributions(self, matrix: Matrix, *, approximate: bool) -> Array:
        """Give each column's share in the margins, the bias last: (rows, outputs, columns + 1)."""
        found = self.booster.predict(_matrix(matrix), pred_contribs=True, approx_contribs=approximate)
        return np.asarray(found, float).reshape(len(found), -1, found.shape[-1])

    def importance(self, columns: int) -> Mapping[str, Array]:
        """Give how often each column splits (weight), and its mean gain and cover."""
        found = {}
        for kind in ("weight", "gain", "cover"):
            scores: Mapping[str, Any] = self.booster.get_score(importance_type=kind)
            found[kind] = np.array([float(scores.get(f"f{index}", 0.0)) for index in range(columns)])
        return found


def train(problem: Problem, held_out: Problem | None, options: Options, progress: Progress, *, seed: int) -> Trees:
    """Fit a booster; it stops early as `progress` says.

    Raises:
        BadInput: XGBoost does not take the options together.
    """
    import xgboost as xgb  # noqa: PLC0415 - slow to load, and needed for boosted trees only

    class Watch(xgb.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model, epoch
            last = {name: next(iter(metrics.items())) for name, metrics in evals_log.items()}
            losses = {name: v[-1] ** 2 if metric == "rmse" else v[-1] for name, (metric, v) in last.items()}
            return progress.note(losses["train"], losses.get("eval"), options["LEARN_RATE"])

    evals = [(_matrix(problem.matrix, problem), "train")] + (
        [(_matrix(held_out.matrix, held_out), "eval")] if held_out else []
    )
    try:
        booster = xgb.train(
            _parameters(problem, options, seed=seed),
            evals[0][0],
            num_boost_round=options["MAX_ITERATIONS"],
            evals=evals,
            callbacks=[Watch()],
            verbose_eval=False,
        )
    except xgb.core.XGBoostError as error:
        reason = str(error).partition("\n")[0].rpartition(".cc:")[2].partition(": ")[2]
        raise BadInput(f"XGBoost refuses these options together: {reason}") from error
    return Trees(booster)


def _parameters(problem: Problem, options: Options, *, seed: int) -> dict[str, Any]:
    if not problem.classify:
        objective: dict[str, Any] = {"objective": "reg:squarederror", "eval_metric": "rmse"}
    elif problem.outputs == 1:
        objective = {"objective": "binary:logistic", "eval_metric": "logloss"}
    else:
        objective = {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": problem.outputs}
    parameters = {theirs: options[ours] for ours, theirs in _SAME.items()}
    method = options["TREE_METHOD"].lower()
    parameters["tree_method"] = "hist" if method == "auto" else method
    if options["BOOSTER_TYPE"] == "DART":
        parameters |= {
            "booster": "dart",
            "normalize_type": options["DART_NORMALIZE_TYPE"].lower(),
            "rate_drop": options["DROPOUT"],
        }
    # The XGBoost of BigQuery ML starts from 0.5; newer ones start from the label's mean.
    return {**objective, **parameters, "base_score": 0.5, "seed": seed, "nthread": _THREADS, "verbosity": 0}


def dense(matrix: Matrix) -> Array:
    """Spell a matrix out as 32-bit floats: XGBoost takes what a sparse one leaves out for missing."""
    return spelled_out(matrix).astype(np.float32)


def read(path: Path) -> Trees:
    """Read a booster from its file."""
    import xgboost as xgb  # noqa: PLC0415 - as above

    booster = xgb.Booster({"nthread": _THREADS})
    booster.load_model(path)
    return Trees(booster)


def _matrix(matrix: Matrix, problem: Problem | None = None) -> Any:
    import xgboost as xgb  # noqa: PLC0415 - as above

    told = {"label": problem.y, "weight": problem.weights} if problem else {}
    return xgb.DMatrix(dense(matrix), nthread=_THREADS, **told)
