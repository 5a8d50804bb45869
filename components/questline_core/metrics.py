"""Measures of a prediction, in NumPy: rows may carry weights, and rows with equal scores count as tied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TINY = 1e-7  # a probability of exactly 0 or 1 would make one surprise cost infinitely much


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a curve, from one end to the other."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Rows with neighbouring predictions: how many, and the means of what was predicted and of what came."""

    rows: int
    predicted: float
    actual: float


def losses(positive: Floats, probability: Floats) -> Floats:
    """Give the logarithmic loss of each row."""
    safe = np.clip(probability, _TINY, 1 - _TINY)
    return -(positive * np.log(safe) + (1 - positive) * np.log(1 - safe))


def brier(positive: Floats, probability: Floats) -> float:
    """Give the mean squared error of probabilities."""
    return float(np.mean((probability - positive) ** 2))


def mae(actual: Floats, predicted: Floats) -> float:
    """Give the mean absolute error."""
    return float(np.mean(np.abs(predicted - actual)))


def rmse(actual: Floats, predicted: Floats) -> float:
    """Give the root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def rmsle(actual: Floats, predicted: Floats) -> float:
    """Give the root of the mean squared error of the logarithms of 1 + value: large amounts do not drown small ones."""
    return rmse(np.log1p(actual), np.log1p(np.maximum(predicted, 0)))


def spearman_of_spenders(actual: Floats, predicted: Floats) -> float:
    """Give the rank correlation among rows with spend: who spends much, of those who spend. 0 for a constant."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to load, and steps that need other measures come by here

    left, right = rankdata(actual[actual > 0]), rankdata(predicted[actual > 0])
    return float(np.corrcoef(left, right)[0, 1]) if left.std() > 0 and right.std() > 0 else 0.0


def top_decile_lift(actual: Floats, predicted: Floats) -> float:
    """Give the mean of the tenth that is predicted highest, by the mean of all: 1 is no better than any tenth."""
    return bins(actual, predicted)[-1].actual / float(actual.mean())


def total_error(actual: Floats, predicted: Floats) -> float:
    """Give the error of the total: 0.1 when a tenth too much is predicted in all."""
    return float(predicted.sum() / actual.sum() - 1)


def roc_auc(positive: Floats, score: Floats) -> float:
    """Give the chance that a positive row scores higher than a negative one; a tie counts half. NaN without both."""
    hits, misses = _by_score(positive, score)
    beaten = np.cumsum(misses) - misses
    pairs = hits.sum() * misses.sum()
    return float((hits * (beaten + misses / 2)).sum() / pairs) if pairs else float("nan")


def pr_auc(positive: Floats, score: Floats) -> float:
    """Give the average precision: the mean over positive rows of the precision at their score."""
    hits, misses = (side[::-1].cumsum() for side in _by_score(positive, score))
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / (hits + misses)).sum() / hits[-1])


def roc_curve(positive: Floats, score: Floats, *, points: int = 200) -> Curve:
    """Give the true positive rate (y) by the false positive rate (x), from (0, 0) to (1, 1)."""
    hits, misses = (np.concatenate([[0.0], side[::-1].cumsum()]) for side in _by_score(positive, score))
    return _curve(misses / misses[-1], hits / hits[-1], points)


def roc_thresholds(score: Floats, *, points: int = 200) -> tuple[float, ...]:
    """Give the score from which on rows are picked, for each point of `roc_curve`; 1 where none is."""
    scores = np.concatenate([[1.0], np.unique(score)[::-1]])
    return tuple(scores[np.unique(np.linspace(0, len(scores) - 1, min(points, len(scores))).astype(int))].tolist())


def confusion(positive: Floats, score: Floats) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pick as many rows as are positive, the highest scores first; count ((not, picked) of the others, of those)."""
    picked = np.zeros(len(score), bool)
    picked[np.argsort(-score, kind="stable")[: int(positive.sum())]] = True
    hits = positive > 0
    return (
        (int((~hits & ~picked).sum()), int((~hits & picked).sum())),
        (int((hits & ~picked).sum()), int((hits & picked).sum())),
    )


def pr_curve(positive: Floats, score: Floats, *, points: int = 200) -> Curve:
    """Give the precision (y) by the recall (x), from the highest score to the lowest."""
    hits, misses = (side[::-1].cumsum() for side in _by_score(positive, score))
    return _curve(hits / hits[-1], hits / (hits + misses), points)


def normalized_gini(actual: Floats, score: Floats) -> float:
    """Tell how well a score orders rows by their value: 1 as well as the values themselves, 0 not at all."""
    return _gini(actual, score) / _gini(actual, actual)


def bins(actual: Floats, predicted: Floats, *, count: int = 10) -> tuple[Bin, ...]:
    """Split rows into groups of equal size by what was predicted, the lowest first."""
    groups = np.array_split(np.argsort(predicted, kind="stable"), min(count, len(actual)))
    return tuple(
        Bin(rows=len(group), predicted=float(predicted[group].mean()), actual=float(actual[group].mean()))
        for group in groups
    )


def _by_score(positive: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Count the positive and the negative rows of each score, the lowest first."""
    _, group = np.unique(score, return_inverse=True)
    hits, misses = np.bincount(group, positive), np.bincount(group, 1 - positive)
    return hits.astype(np.float64), misses.astype(np.float64)


def _gini(actual: Floats, score: Floats) -> float:
    _, group = np.unique(score, return_inverse=True)
    rows = np.concatenate([[0.0], np.bincount(group).cumsum()]) / len(actual)
    value = np.concatenate([[0.0], np.bincount(group, actual).cumsum()]) / actual.sum()
    return float(1 - 2 * np.trapezoid(value, rows))


def _curve(x: Floats, y: Floats, points: int) -> Curve:
    kept = np.unique(np.linspace(0, len(x) - 1, min(points, len(x))).astype(int))
    return Curve(x=tuple(x[kept].tolist()), y=tuple(y[kept].tolist()))
