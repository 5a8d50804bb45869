"""How much a rival gains from more examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.metrics import losses
from questline_core.spend.arrays import Examples
from questline_core.spend.rivals import learning_curve, rivals


def made_up(count: int, *, seed: int, share: float = 0.2) -> Examples:
    """Those who failed spend more often; nothing else tells anything."""
    random = np.random.default_rng(seed)
    inputs = {name: random.random(count) for name in NUMBERS} | {name: np.full(count, "", object) for name in TEXTS}
    chance = 2 * share * inputs["fails_24h"]
    return Examples(
        inputs=inputs,
        spend=np.where(random.random(count) < chance, random.gamma(2.0, 3.0, count) + 0.1, 0.0),
        players=np.array([f"p{number}" for number in range(count)], object),
        at_micros=np.arange(count),
    )


@pytest.fixture(scope="module")
def rows() -> Examples:
    return made_up(2000, seed=2)


def test_more_examples_lose_less_and_all_of_them_lose_what_the_rival_does(rows: Examples) -> None:
    learned = made_up(4500, seed=1)

    curve = learning_curve(learned, rows)

    counts, loss = zip(*curve, strict=True)
    rival = rivals(learned, rows)["trees on our features"]
    assert counts == (500, 1500, 4500)
    assert loss[0] > loss[2]
    assert math.isclose(loss[2], losses((rows.spend > 0).astype(np.float64), rival.probability).mean(), rel_tol=1e-9)


def test_a_part_with_few_spends_is_left_out(rows: Examples) -> None:
    assert [count for count, _ in learning_curve(made_up(900, seed=3, share=0.1), rows)] == [300, 900]
    assert learning_curve(made_up(900, seed=3, share=0.01), rows) == []
