"""What a spend model has to beat, fitted to the same rows: a constant, the last value, and two boosted forests."""

from __future__ import annotations

import numpy as np
import xgboost as xgb

from questline_core import metrics
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.metrics import Floats
from questline_core.spend.arrays import NOMINAL_COVERAGE, Examples, Predictions

EVENT_INPUTS = ("days_since_install", "local_hour", *TEXTS)
"""What an event tells by itself, as the original's request does; of ids and absolute clocks later days repeat none."""

_ROUNDS, _PATIENCE = 400, 25
_LATE = 0.15  # the latest share of the training rows tells when to stop, as it does for the network
_FOREST = {"max_depth": 4, "eta": 0.05, "subsample": 0.8, "colsample_bytree": 0.8, "min_child_weight": 5, "nthread": 1}
# One thread: several wait for each other at every level of every tree, which costs ten times the work where others run.
_CHANCE = {"objective": "binary:logistic"}
_WORDS = 40
_PARTS = (1 / 9, 1 / 3, 1.0)
_FEWEST_SPENDS = 20


def rivals(learned: Examples, rows: Examples) -> dict[str, Predictions]:
    """Fit the rivals to the training examples and ask each about all rows, by name."""
    return {
        "last value": _last_value(learned, rows),
        "trees on the event's fields": _trees(learned, rows, EVENT_INPUTS),
        "trees on our features": _trees(learned, rows, (*NUMBERS, *TEXTS)),
    }


def constant(learned: Examples, rows: Examples) -> Predictions:
    """Answer everybody with the base rate and the mean spend of the training rows."""
    count = len(rows)
    spent = learned.spend > 0
    return Predictions(
        value=np.full(count, learned.spend.mean()),
        probability=np.full(count, spent.mean()),
        lower_bound=np.zeros(count),
        upper_bound=np.full(count, np.quantile(learned.spend[spent], NOMINAL_COVERAGE)),
    )


def learning_curve(learned: Examples, rows: Examples) -> list[tuple[int, float]]:
    """Tell the log loss of the trees on our features by how many training examples they see, drawn at random.

    Of the trees and not of the network, because they are fitted in a second. Parts with few spends are left out.
    """
    spent, positive = (one.spend > 0 for one in (learned, rows))
    known, asked = _matrices(learned, rows, (*NUMBERS, *TEXTS))
    drawn, points = np.random.default_rng(1).permutation(len(learned)), list[tuple[int, float]]()
    for count in (round(part * len(learned)) for part in _PARTS):
        some = np.sort(drawn[:count])
        if spent[some].sum() >= _FEWEST_SPENDS:
            chance = _boost(known[some], spent[some].astype(np.float64), asked, _CHANCE)
            points.append((count, float(metrics.losses(positive.astype(np.float64), chance).mean())))
    return points


def _answers(*, value: Floats, probability: Floats) -> Predictions:
    """Complete answers that give no bounds."""
    return Predictions(value=value, probability=probability, lower_bound=value, upper_bound=value)


def _last_value(learned: Examples, rows: Examples) -> Predictions:
    """Answer with what the player spent the day before, and with how often such players spend."""
    before, now = (_group(one) for one in (learned, rows))
    spent = (learned.spend > 0).astype(np.float64)
    base = spent.mean()
    rates = np.array([(spent[before == one].sum() + base) / ((before == one).sum() + 1) for one in range(3)])
    return _answers(value=np.nan_to_num(rows.inputs["spend_sum_24h"].astype(np.float64)), probability=rates[now])


def _group(examples: Examples) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Tell players apart who spent within a day (2), earlier (1) and never (0)."""
    ever, lately = (np.nan_to_num(examples.inputs[name].astype(np.float64)) > 0 for name in ("spends", "spends_24h"))
    return np.where(lately, 2, np.where(ever, 1, 0))


def _trees(learned: Examples, rows: Examples, names: tuple[str, ...]) -> Predictions:
    """Boost trees for the chance of any spend, and others for the amount of those who spend."""
    known, asked = _matrices(learned, rows, names)
    spent = learned.spend > 0
    chance = _boost(known, spent.astype(np.float64), asked, _CHANCE)
    amount = _boost(known[spent], learned.spend[spent], asked, {"objective": "reg:gamma"})
    return _answers(value=chance * amount, probability=chance)


def _boost(known: Floats, label: Floats, asked: Floats, objective: dict[str, str]) -> Floats:
    cut = int(len(known) * (1 - _LATE))
    fit, late = xgb.DMatrix(known[:cut], label[:cut]), xgb.DMatrix(known[cut:], label[cut:])
    booster = xgb.train(
        {**_FOREST, **objective, "seed": 1},
        fit,
        _ROUNDS,
        evals=[(late, "late")],
        early_stopping_rounds=_PATIENCE,
        verbose_eval=False,
    )
    answers: Floats = booster.predict(xgb.DMatrix(asked), iteration_range=(0, booster.best_iteration + 1))
    return answers.astype(np.float64)


def _matrices(learned: Examples, rows: Examples, names: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Make matrices of both: numbers as they are, and a column for each usual word of the training rows."""
    columns: list[tuple[Floats, Floats]] = []
    for name in names:
        before, now = learned.inputs[name], rows.inputs[name]
        if name not in TEXTS:
            columns.append((before.astype(np.float64), now.astype(np.float64)))
            continue
        words, counts = np.unique(before.astype(str), return_counts=True)
        usual = words[np.argsort(-counts, kind="stable")][:_WORDS]
        columns += [((before == word).astype(np.float64), (now == word).astype(np.float64)) for word in usual]
    return np.column_stack([one for one, _ in columns]), np.column_stack([one for _, one in columns])
