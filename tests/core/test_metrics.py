"""Measures, by cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from questline_core import metrics
from questline_core.metrics import Bin, Curve


def floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, np.float64)


def test_the_loss_of_a_row_is_the_logarithm_of_what_its_outcome_was_given() -> None:
    assert metrics.losses(floats(1, 0), floats(0.25, 0.25)).tolist() == pytest.approx([math.log(4), math.log(4 / 3)])


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    assert 16 < metrics.losses(floats(1), floats(0))[0] < 17


def test_the_brier_score_is_the_mean_squared_error() -> None:
    assert metrics.brier(floats(1, 0), floats(0.5, 0.1)) == pytest.approx((0.25 + 0.01) / 2)


def test_errors_of_values() -> None:
    actual, predicted = floats(0, 4), floats(1, 1)

    assert metrics.mae(actual, predicted) == 2
    assert metrics.rmse(actual, predicted) == pytest.approx(math.sqrt(5))
    assert metrics.total_error(actual, predicted) == -0.5
    assert metrics.rmsle(actual, floats(0, math.e**2 * 5 - 1)) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("scores", "auc"),
    [
        ((0.1, 0.2, 0.3, 0.4), 1.0),
        ((0.4, 0.3, 0.2, 0.1), 0.0),
        ((0.5, 0.5, 0.5, 0.5), 0.5),
        ((0.1, 0.3, 0.2, 0.4), 0.75),
        ((0.1, 0.2, 0.2, 0.4), 0.875),
    ],
)
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(scores: tuple[float, ...], auc: float) -> None:
    assert metrics.roc_auc(floats(0, 0, 1, 1), floats(*scores)) == auc


def test_without_both_kinds_of_rows_there_is_no_roc_auc() -> None:
    assert math.isnan(metrics.roc_auc(floats(0, 0), floats(0.1, 0.3)))


def test_pr_auc_is_the_mean_precision_at_each_hit() -> None:
    assert metrics.pr_auc(floats(1, 0, 1, 0), floats(0.9, 0.8, 0.7, 0.6)) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert metrics.pr_auc(floats(1, 0, 0, 0), floats(0.5, 0.5, 0.5, 0.5)) == 0.25


def test_curves_go_from_end_to_end() -> None:
    positive, score = floats(1, 0, 1, 0), floats(0.9, 0.8, 0.7, 0.6)

    assert metrics.roc_curve(positive, score) == Curve(x=(0, 0, 0.5, 0.5, 1), y=(0, 0.5, 0.5, 1, 1))
    assert metrics.pr_curve(positive, score) == Curve(x=(0.5, 0.5, 1, 1), y=(1, 0.5, 2 / 3, 0.5))


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    random = np.random.default_rng(0)
    curve = metrics.roc_curve((random.random(5000) < 0.1).astype(float), random.random(5000), points=50)

    assert len(curve.x) == 50
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


def test_gini_is_one_for_the_right_order_and_zero_for_none() -> None:
    spend = floats(0, 0, 1, 5)

    assert metrics.normalized_gini(spend, floats(1, 1, 2, 3)) == pytest.approx(1)
    assert metrics.normalized_gini(spend, floats(7, 7, 7, 7)) == pytest.approx(0)
    assert metrics.normalized_gini(spend, -spend) == pytest.approx(-1)


def test_bins_are_equal_groups_from_the_lowest_prediction_up() -> None:
    found = metrics.bins(floats(4, 0, 2, 0), floats(1.0, 0.1, 0.7, 0.2), count=2)

    assert found == (Bin(rows=2, predicted=(0.1 + 0.2) / 2, actual=0), Bin(rows=2, predicted=(0.7 + 1.0) / 2, actual=3))


def test_only_those_who_spend_are_ordered_by_how_much() -> None:
    assert metrics.spearman_of_spenders(floats(0, 1, 2, 3), floats(9, 1, 5, 7)) == pytest.approx(1)
    assert metrics.spearman_of_spenders(floats(0, 1, 2, 3), floats(9, 7, 5, 1)) == pytest.approx(-1)
    assert metrics.spearman_of_spenders(floats(0, 1, 2, 3), floats(1, 4, 4, 4)) == 0


def test_the_lift_is_that_of_the_tenth_that_is_picked_first() -> None:
    spend = np.array([0.0] * 18 + [5.0, 5.0])

    assert metrics.top_decile_lift(spend, spend) == pytest.approx(10)
    assert metrics.top_decile_lift(spend, -spend) == 0


def test_each_point_of_the_curve_has_the_score_that_it_picks_from() -> None:
    positive, score = floats(1, 0, 1, 0), floats(0.9, 0.8, 0.7, 0.6)

    assert metrics.roc_thresholds(score) == (1, 0.9, 0.8, 0.7, 0.6)
    assert len(metrics.roc_thresholds(score)) == len(metrics.roc_curve(positive, score).x)


def test_as_many_are_picked_as_spend() -> None:
    assert metrics.confusion(floats(1, 0, 1, 0), floats(0.9, 0.8, 0.7, 0.6)) == ((1, 1), (1, 1))
