"""Judge the models of one training on the same players, choose the best of them, and hold it against the one in use."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from questline_core import metrics
from questline_core.churn.evaluation import Confusion, Costs, Evaluation, best_threshold, evaluate
from questline_core.churn.models import KINDS, Predictions, importance, predict
from questline_core.metrics import Bin, Curve
from questline_core.spend.evaluation import Range
from questline_core.warehouse.port import Warehouse

THRESHOLD_FOLD = 8
"""The threshold is chosen on this fold and judged on the other one; what needs no threshold is judged on both."""
_DRAWS, _SEED = 1000, 20_180_612


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """The model that scores the players now."""

    kind: str
    version: str
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the three models of one training did on players whom none of them had seen."""

    version: str
    costs: Costs
    """By which the thresholds were chosen."""
    champion: str
    """The kind with the least log loss."""
    models: Mapping[str, Evaluation]
    curves: Mapping[str, Curve]
    calibration: tuple[Bin, ...]
    """Of the champion."""
    importance: Mapping[str, float]
    """Of the champion: how far each feature moves its answers, the strongest first."""
    in_use: InUse | None
    in_use_evaluation: Evaluation | None
    worse_than_in_use: Range | None
    """Log loss of the champion less that of the model in use, player by player; positive is worse."""

    @property
    def best(self) -> Evaluation:
        """The champion's evaluation."""
        return self.models[self.champion]

    @property
    def summary(self) -> dict[str, Any]:
        """The figures that a list of runs shows."""
        areas = {f"{kind}_roc_auc": one.roc_auc.value for kind, one in self.models.items()}
        return {**areas, "champion": self.champion, "threshold": self.best.threshold}

    @property
    def curve(self) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """The champion's ROC curve: false and true positive rates, and the share of the way along it.

        The share stands where KFP wants a threshold: the probability falls from one end to the other, and its value at
        a point is not kept.
        """
        of = self.curves[self.champion]
        return of.x, of.y, [1 - number / (len(of.x) - 1) for number in range(len(of.x))]

    @property
    def confusion(self) -> dict[str, list[int]]:
        """What players did, and how many of them the champion took for stayed and for left at its threshold."""
        errors = self.best.at_threshold
        return {
            "stayed": [errors.true_negatives, errors.false_positives],
            "left": [errors.false_negatives, errors.true_positives],
        }

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        return cls(
            **told
            | {
                "costs": Costs(**told["costs"]),
                "models": {kind: _evaluation(one) for kind, one in told["models"].items()},
                "curves": {kind: Curve(x=tuple(one["x"]), y=tuple(one["y"])) for kind, one in told["curves"].items()},
                "calibration": tuple(Bin(**one) for one in told["calibration"]),
                "in_use": InUse(**told["in_use"]) if told["in_use"] else None,
                "in_use_evaluation": _evaluation(told["in_use_evaluation"]) if told["in_use_evaluation"] else None,
                "worse_than_in_use": Range(**told["worse_than_in_use"]) if told["worse_than_in_use"] else None,
            }
        )


def judge(warehouse: Warehouse, version: str, in_use: InUse | None, costs: Costs) -> Judged:
    """Judge all kinds of one version on `churn.held_out`, which is split by a hash of the player.

    The model in use never learned from these players either, because their folds are the same in every training.

    Raises:
        BadInput: nobody left, or nobody stayed, in one of the folds.
    """
    models, curves, asked = {}, {}, {}
    for kind in KINDS:
        asked[kind] = predict(warehouse, kind, version=version)
        threshold = best_threshold(_chosen(asked[kind], asked[kind].fold == THRESHOLD_FOLD), costs)
        models[kind] = _evaluate(asked[kind], threshold, costs)
        curves[kind] = metrics.roc_curve(asked[kind].churned, asked[kind].probability)
    champion = min(KINDS, key=lambda kind: models[kind].log_loss.value)
    best = asked[champion]
    other = predict(warehouse, in_use.kind, version=in_use.version) if in_use else None
    return Judged(
        version=version,
        costs=costs,
        champion=champion,
        models=models,
        curves=curves,
        calibration=metrics.bins(best.churned, best.probability, count=5),
        importance=importance(warehouse, champion, version=version),
        in_use=in_use,
        in_use_evaluation=_evaluate(other, in_use.threshold, costs) if in_use and other else None,
        worse_than_in_use=_difference(best, other) if other else None,
    )


def _evaluate(rows: Predictions, threshold: float, costs: Costs) -> Evaluation:
    unseen = evaluate(_chosen(rows, rows.fold != THRESHOLD_FOLD), threshold=threshold, costs=costs)
    return replace(
        evaluate(rows, threshold=threshold, costs=costs),
        at_threshold=unseen.at_threshold,
        cost=unseen.cost,
        cost_of_offers_to_all=unseen.cost_of_offers_to_all,
        cost_of_offers_to_none=unseen.cost_of_offers_to_none,
    )


def _chosen(rows: Predictions, those: Any) -> Predictions:
    return Predictions(fold=rows.fold[those], churned=rows.churned[those], probability=rows.probability[those])


def _difference(one: Predictions, other: Predictions) -> Range:
    """Give the mean difference of the losses of the same players, with its 95 % bootstrap interval."""
    more = metrics.losses(one.churned, one.probability) - metrics.losses(other.churned, other.probability)
    random = np.random.default_rng(_SEED)
    draws = [float(more[random.integers(0, len(more), len(more))].mean()) for _ in range(_DRAWS)]
    low, high = np.percentile(draws, [2.5, 97.5]).tolist()
    return Range(value=float(more.mean()), low=low, high=high)


def _evaluation(told: Mapping[str, Any]) -> Evaluation:
    ranges = {name: Range(**told[name]) for name in ("roc_auc", "log_loss", "cost")}
    return Evaluation(**{**told, **ranges, "at_threshold": Confusion(**told["at_threshold"])})
