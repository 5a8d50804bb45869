"""The threshold that costs least, and the measures with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from questline_core.churn.evaluation import Confusion, Costs, best_threshold, confusion, evaluate
from questline_core.churn.models import Predictions
from questline_core.errors import BadInput


def rows(*pairs: tuple[float, int]) -> Predictions:
    probability, churned = np.array([*zip(*pairs, strict=True)], float) if pairs else np.empty((2, 0))
    return Predictions(fold=np.zeros(len(pairs), np.int64), churned=churned, probability=probability)


def calibrated(count: int, seed: int = 7) -> Predictions:
    """Players who leave with just the probability that is predicted."""
    random = np.random.default_rng(seed)
    probability = random.uniform(0, 1, count)
    left = (random.uniform(0, 1, count) < probability).astype(float)
    return Predictions(fold=np.zeros(count, np.int64), churned=left, probability=probability)


def test_with_dear_leavers_the_threshold_is_low() -> None:
    few = rows((0.1, 0), (0.2, 1), (0.3, 0), (0.6, 1))

    assert best_threshold(few, Costs(missed=100, treated=1, bothered=1)) == pytest.approx(0.15)
    assert best_threshold(few, Costs(missed=1.5, treated=1, bothered=1)) == pytest.approx(0.45)


@pytest.mark.parametrize(("costs", "expected"), [(Costs(), 1 / 3), (Costs(missed=10, treated=9, bothered=9), 0.9)])
def test_with_calibrated_probabilities_the_threshold_is_the_price_of_an_offer_by_what_it_may_win(
    costs: Costs, expected: float
) -> None:
    assert best_threshold(calibrated(40_000), costs) == pytest.approx(expected, abs=0.05)


def test_no_other_threshold_costs_less() -> None:
    drawn, costs = calibrated(300), Costs()
    best = confusion(drawn, best_threshold(drawn, costs)).cost(costs)

    assert best <= min(confusion(drawn, cut).cost(costs) for cut in [0.0, *drawn.probability, 1.1]) + 1e-9


def test_players_with_one_score_are_treated_alike() -> None:
    same = rows((0.5, 1), (0.5, 0), (0.5, 0))

    assert best_threshold(same, Costs(missed=10, treated=1, bothered=1)) == 0.0
    assert best_threshold(same, Costs(missed=2, treated=1, bothered=1)) == 1.0


def test_the_confusion_counts_a_score_at_the_threshold_as_leaving() -> None:
    found = confusion(rows((0.5, 1), (0.5, 0), (0.4, 1), (0.3, 0), (0.2, 0)), 0.5)

    assert found == Confusion(true_negatives=2, false_positives=1, false_negatives=1, true_positives=1)
    assert (found.precision, found.recall) == (0.5, 0.5)


def test_measures_lie_within_their_intervals_and_more_rows_make_them_narrower() -> None:
    few, many = (evaluate(calibrated(count), threshold=0.4, costs=Costs()) for count in (200, 5_000))

    for found in (few, many):
        for one in (found.roc_auc, found.log_loss, found.cost):
            assert one.low <= one.value <= one.high
    assert many.roc_auc.high - many.roc_auc.low < (few.roc_auc.high - few.roc_auc.low) / 3
    assert many.roc_auc.value == pytest.approx(5 / 6, abs=0.02)  # of probabilities that are drawn evenly
    assert many.log_loss.value < many.base_log_loss


def test_the_same_rows_give_the_same_intervals() -> None:
    first, second = (evaluate(calibrated(500), threshold=0.4, costs=Costs()) for _ in range(2))

    assert first == second


def test_the_cost_is_compared_with_offers_to_all_and_to_none() -> None:
    found = evaluate(rows((0.9, 1), (0.1, 0), (0.2, 0), (0.8, 1)), threshold=0.5, costs=Costs())

    assert found.cost.value == pytest.approx(2.0)
    assert found.cost_of_offers_to_all == pytest.approx(2.25)
    assert found.cost_of_offers_to_none == pytest.approx(2.5)


def test_players_of_one_kind_cannot_be_judged_on() -> None:
    with pytest.raises(BadInput, match="both kinds"):
        evaluate(rows((0.5, 1)), threshold=0.5, costs=Costs())
    with pytest.raises(BadInput, match="hold some out"):
        best_threshold(rows(), Costs())


@pytest.mark.parametrize("costs", [{"treated": 5.0}, {"bothered": 0.0}])
def test_costs_with_which_the_answer_is_known_before_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="an offer must pay"):
        Costs(**costs)
