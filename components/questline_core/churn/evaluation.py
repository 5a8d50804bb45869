"""Judge a churn model: measures with their intervals, and the threshold at which its errors cost least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from questline_core import metrics
from questline_core.churn.models import Predictions
from questline_core.errors import BadInput
from questline_core.spend.evaluation import Range

_RESAMPLES = 1000
_SEED = 20_180_612  # every evaluation draws the same rows, so that two models are compared draw by draw

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one player costs, in any one currency, by what is done and by what the player would do.

    The defaults say: a player who leaves is a loss of 5, an offer costs 0.5, and three of ten who would leave stay for
    it. They are assumed, not measured: put those of the game in their place.
    """

    missed: float = 5.0
    """A player who leaves and was let go."""
    treated: float = 4.0
    """A player who would leave and was made an offer: 0.5 + 0.7 * 5."""
    bothered: float = 0.5
    """A player who stays and was made an offer."""
    left_alone: float = 0.0
    """A player who stays and was let be."""

    @property
    def break_even(self) -> float:
        """The probability from which on an offer pays, if probabilities are what they say."""
        bothers, helps = self.bothered - self.left_alone, self.missed - self.treated
        return bothers / (bothers + helps)

    def __post_init__(self) -> None:
        """Refuse costs with which an offer never pays, or always does."""
        if self.missed <= self.treated or self.bothered <= self.left_alone:
            raise BadInput(
                "an offer must pay for a player who would leave (treated < missed) and cost for one who would stay "
                f"(bothered > left_alone); these costs are {self}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Rows by what was predicted at a threshold and what came."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @property
    def precision(self) -> float:
        """Share of the predicted leavers who left; 0 when none was predicted."""
        predicted = self.true_positives + self.false_positives
        return self.true_positives / predicted if predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the leavers who were predicted; 0 when nobody left."""
        left = self.true_positives + self.false_negatives
        return self.true_positives / left if left else 0.0

    @property
    def rows(self) -> int:
        """All rows."""
        return self.true_negatives + self.false_positives + self.false_negatives + self.true_positives

    def cost(self, costs: Costs) -> float:
        """Give the mean cost of a player."""
        return (
            self.true_negatives * costs.left_alone
            + self.false_positives * costs.bothered
            + self.false_negatives * costs.missed
            + self.true_positives * costs.treated
        ) / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model did on rows that it had not seen."""

    rows: int
    churned: int
    roc_auc: Range
    pr_auc: float
    log_loss: Range
    base_log_loss: float
    """Of the share of leavers for everybody."""
    brier: float
    threshold: float
    at_threshold: Confusion
    cost: Range
    """Mean cost of a player when the threshold decides."""
    cost_of_offers_to_all: float
    cost_of_offers_to_none: float


def best_threshold(rows: Predictions, costs: Costs) -> float:
    """Find the probability from which on an offer costs least in all, among the midpoints of what was predicted.

    Choose it on other rows than those it is judged on. Of thresholds that cost the same, the middle one is taken.

    Raises:
        BadInput: there are no rows.
    """
    if not len(rows.probability):
        raise BadInput("there are no rows to choose a threshold on; hold some out")
    values, at = np.unique(rows.probability, return_inverse=True)
    left = np.bincount(at, rows.churned)
    stayed = np.bincount(at, 1 - rows.churned)
    loss = left * (costs.missed - costs.treated) - stayed * (costs.bothered - costs.left_alone)
    # What the rows below the threshold, which get no offer, cost more than with one.
    lost = np.concatenate([[0.0], np.cumsum(loss)])
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    best = np.flatnonzero(lost <= lost.min() + 1e-9)
    return float(cuts[best[len(best) // 2]])


def evaluate(rows: Predictions, *, threshold: float, costs: Costs) -> Evaluation:
    """Judge predictions; the ranges are 95 % bootstrap intervals over the rows, drawn with replacement.

    Raises:
        BadInput: nobody left, or nobody stayed.
    """
    churned, probability = rows.churned, rows.probability
    if not 0 < churned.sum() < len(churned):
        raise BadInput("a model can only be judged on players of both kinds, those who left and those who stayed")
    losses = metrics.losses(churned, probability)
    paid = _paid(churned, probability >= threshold, costs)
    draws = np.array([_draw(rows, losses, paid, chosen) for chosen in _resamples(churned)])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0).tolist()
    values = (metrics.roc_auc(churned, probability), float(losses.mean()), float(paid.mean()))
    auc, log_loss, cost = (Range(value=value, low=low[at], high=high[at]) for at, value in enumerate(values))
    base = np.full(len(churned), churned.mean())
    return Evaluation(
        rows=len(churned),
        churned=int(churned.sum()),
        roc_auc=auc,
        pr_auc=metrics.pr_auc(churned, probability),
        log_loss=log_loss,
        base_log_loss=float(metrics.losses(churned, base).mean()),
        brier=metrics.brier(churned, probability),
        threshold=threshold,
        at_threshold=confusion(rows, threshold),
        cost=cost,
        cost_of_offers_to_all=confusion(rows, 0.0).cost(costs),
        cost_of_offers_to_none=confusion(rows, np.inf).cost(costs),
    )


def confusion(rows: Predictions, threshold: float) -> Confusion:
    """Count the rows at a threshold; a probability that equals it counts as leaving."""
    told, left = rows.probability >= threshold, rows.churned > 0
    return Confusion(
        true_negatives=int((~told & ~left).sum()),
        false_positives=int((told & ~left).sum()),
        false_negatives=int((~told & left).sum()),
        true_positives=int((told & left).sum()),
    )


def _paid(churned: Floats, told: NDArray[np.bool_], costs: Costs) -> Floats:
    """Give what each player costs."""
    of_leavers = np.where(told, costs.treated, costs.missed)
    of_stayers = np.where(told, costs.bothered, costs.left_alone)
    return np.where(churned > 0, of_leavers, of_stayers)


def _resamples(churned: Floats) -> list[NDArray[np.int64]]:
    """Draw rows with replacement, without the draws that hold one kind only."""
    random = np.random.default_rng(_SEED)
    drawn = (random.integers(0, len(churned), len(churned)) for _ in range(_RESAMPLES))
    return [rows for rows in drawn if 0 < churned[rows].sum() < len(rows)]


def _draw(rows: Predictions, losses: Floats, paid: Floats, chosen: NDArray[np.int64]) -> tuple[float, float, float]:
    auc = metrics.roc_auc(rows.churned[chosen], rows.probability[chosen])
    return auc, float(losses[chosen].mean()), float(paid[chosen].mean())
