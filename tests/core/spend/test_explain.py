"""What each input adds to a chance, held against models whose shares are known."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from questline_core.metrics import Floats
from questline_core.spend.arrays import Examples, Predictions
from questline_core.spend.explain import Share, permutation_importance, shares

ROWS = 400


@pytest.fixture(scope="module")
def rows() -> Examples:
    random = np.random.default_rng(5)
    fails, level = random.random(ROWS), random.random(ROWS)
    return Examples(
        inputs={
            "level": np.where(level < 0.25, math.nan, level),
            "fails": fails,
            "country": random.choice(np.array(["Japan", "Peru"], object), ROWS),
        },
        spend=np.where(random.random(ROWS) < fails, 2.0, 0.0),
        players=np.array([f"p{number}" for number in range(ROWS)], object),
        at_micros=np.arange(ROWS),
    )


def chances(chance: Floats) -> Predictions:
    return Predictions(value=chance, probability=chance, lower_bound=chance, upper_bound=chance)


def adds_up(asked: Examples) -> Predictions:
    """Each input adds by itself: 0.6 of the fails, and 0.3 in Japan. The level is not looked at."""
    return chances(0.05 + 0.6 * asked.inputs["fails"] + 0.3 * (asked.inputs["country"] == "Japan"))


def both_at_once(asked: Examples) -> Predictions:
    """Fails count in Japan only."""
    return chances(0.1 + 0.8 * asked.inputs["fails"] * (asked.inputs["country"] == "Japan"))


@pytest.fixture(scope="module")
def found(rows: Examples) -> Mapping[str, Share]:
    return shares(adds_up, rows)


def test_the_input_with_the_largest_shares_comes_first_and_one_that_is_not_looked_at_has_none(
    found: Mapping[str, Share],
) -> None:
    assert list(found) == ["fails", "country", "level"]
    assert not found["level"].adds.any()


def test_the_shares_of_a_row_add_up_to_its_chance_less_the_usual_one(
    rows: Examples, found: Mapping[str, Share]
) -> None:
    chance = np.sort(adds_up(rows).probability)[np.linspace(0, ROWS - 1, 250).astype(int)]
    together = np.sum([one.adds for one in found.values()], axis=0)

    assert together == pytest.approx(chance - adds_up(rows).probability.mean(), abs=0.3)  # eight rows begin each
    assert together.mean() == pytest.approx(chance.mean() - adds_up(rows).probability.mean(), abs=0.02)


def test_where_inputs_add_by_themselves_an_input_gets_what_it_adds(found: Mapping[str, Share]) -> None:
    slope, _ = np.polyfit(found["fails"].rank, found["fails"].adds, 1)  # they are spread evenly from 0 to 1
    in_japan = found["country"].adds > 0

    assert slope == pytest.approx(0.6, abs=0.05)
    assert found["country"].adds[in_japan].mean() - found["country"].adds[~in_japan].mean() == pytest.approx(
        0.3, abs=0.03
    )


def test_what_only_two_inputs_do_together_is_shared_by_them(rows: Examples) -> None:
    found = shares(both_at_once, rows)
    high = np.arange(250) >= 225  # the explained rows go up with the prediction: many fails, in Japan

    assert found["country"].adds[high].mean() > 0.1
    assert found["fails"].adds[high].mean() > 0.1
    assert not found["level"].adds.any()


def test_a_text_and_a_value_that_is_not_known_have_the_middle_rank(rows: Examples, found: Mapping[str, Share]) -> None:
    assert set(found["country"].rank) == {0.5}
    assert 0 < (found["level"].rank == 0.5).mean() < 0.5
    assert np.isnan(rows.inputs["level"]).any()


def test_an_input_is_as_important_as_the_loss_that_its_shuffling_brings(rows: Examples) -> None:
    found = permutation_importance(lambda asked: chances(np.clip(asked.inputs["fails"], 0.01, 0.99)), rows)

    assert next(iter(found)) == "fails"
    assert found["fails"] > 0.1
    assert found["level"] == found["country"] == 0.0


def test_the_same_rows_are_explained_in_the_same_way(rows: Examples, found: Mapping[str, Share]) -> None:
    again = shares(adds_up, rows)

    assert all((again[name].adds == one.adds).all() for name, one in found.items())
