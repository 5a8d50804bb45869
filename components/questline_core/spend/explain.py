"""Explain a spend model by its answers: which inputs matter, and how much each adds to a player's chance of a spend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from questline_core import metrics
from questline_core.metrics import Floats
from questline_core.spend.arrays import Examples, Predictions

Ask = Callable[[Examples], Predictions]

_SEED = 20_180_612
_IMPORTANCE_ROWS = 4000
_EXPLAINED_ROWS = 250
_ORDERS = 8  # in which the inputs become known; more make a share surer, and the sum is right with one


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one input adds to the probability at each explained row, and how the input's value ranks there."""

    adds: Floats
    rank: Floats
    """From 0 to 1; a half for a text and where the value is not known."""


def permutation_importance(ask: Ask, rows: Examples) -> dict[str, float]:
    """Tell by how much the log loss rises when one input is shuffled among the rows, the most important first."""
    random = np.random.default_rng(_SEED)
    sample = rows.take(np.sort(random.permutation(len(rows))[:_IMPORTANCE_ROWS]))
    positive = (sample.spend > 0).astype(np.float64)

    def loss(inputs: Mapping[str, Any]) -> float:
        return float(metrics.losses(positive, ask(replace(sample, inputs=inputs)).probability).mean())

    base, shuffle = loss(sample.inputs), random.permutation(len(sample))
    rises = {name: loss({**sample.inputs, name: column[shuffle]}) - base for name, column in sample.inputs.items()}
    return dict(sorted(rises.items(), key=lambda one: -one[1]))


def shares(ask: Ask, rows: Examples) -> dict[str, Share]:
    """Share out each explained row's probability among the inputs (Shapley values by sampled orders).

    A row starts as another one, drawn at random, and takes its own inputs one by one; what an answer changes by is the
    share of the input. So the shares of a row add up to its probability less the mean of those that it started as. The
    explained rows are spread over all predictions. The input with the largest shares comes first.
    """
    random = np.random.default_rng(_SEED)
    by_chance = np.argsort(ask(rows).probability, kind="stable")
    chosen = rows.take(by_chance[np.linspace(0, len(rows) - 1, min(_EXPLAINED_ROWS, len(rows))).astype(int)])
    adds = {name: np.zeros(len(chosen)) for name in rows.inputs}
    for _ in range(_ORDERS):
        inputs = dict(rows.take(random.integers(0, len(rows), len(chosen))).inputs)
        before = ask(replace(chosen, inputs=dict(inputs))).probability
        for name in random.permutation(list(adds)).tolist():
            inputs[name] = chosen.inputs[name]
            after = ask(replace(chosen, inputs=dict(inputs))).probability
            adds[name] += (after - before) / _ORDERS
            before = after
    found = {name: Share(adds=one, rank=_rank(chosen.inputs[name])) for name, one in adds.items()}
    return dict(sorted(found.items(), key=lambda one: -float(np.abs(one[1].adds).mean())))


def _rank(column: Any) -> Floats:
    if column.dtype == object:
        return np.full(len(column), 0.5)
    ranks: Floats = np.nan_to_num(rankdata(column, nan_policy="omit") / len(column), nan=0.5)
    return ranks
