"""What may serve, and what may not, with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from questline_core.errors import BadInput
from questline_core.metrics import Floats
from questline_core.spend.arrays import Examples, Predictions
from questline_core.spend.evaluation import Evaluation, measure
from questline_core.spend.gate import judge, read_evaluation

ROWS = 3000
PLAYERS = 900


def held_out(seed: int = 0) -> tuple[Examples, Floats]:
    """Make rows of which some players spend often, and the true probability of each."""
    random = np.random.default_rng(seed)
    player = random.integers(0, PLAYERS, ROWS)
    true = np.where(player % 10 == 0, 0.4, 0.03)
    spend = np.where(random.random(ROWS) < true, random.gamma(2, 3, ROWS) + 1, 0)
    players = np.array([f"p{number}" for number in player], object)
    return Examples(inputs={}, spend=spend, players=players, at_micros=np.arange(ROWS)), true


def answers(probability: Floats, amount: float = 7.0) -> Predictions:
    value = probability * amount
    return Predictions(value=value, lower_bound=value * 0, upper_bound=value * 3, probability=probability)


def evaluated(probability: Floats, rows: Examples) -> Evaluation:
    return measure(rows, answers(probability), answers(np.full(ROWS, 0.067)))


@pytest.fixture(scope="module")
def rows() -> Examples:
    return held_out()[0]


@pytest.fixture(scope="module")
def good(rows: Examples) -> Evaluation:
    return evaluated(held_out()[1], rows)


def reason(evaluation: Evaluation, champion: Evaluation | None, about: str) -> str:
    verdict = judge(evaluation, champion)
    assert not verdict.ship
    [found] = [one for one in verdict.reasons if about in one]
    return found


def test_a_model_that_knows_who_spends_ships(good: Evaluation) -> None:
    verdict = judge(good, None)

    assert verdict.ship
    assert len(verdict.reasons) == 7
    assert f"Log loss {good.model.log_loss:.4f} against {good.constant.log_loss:.4f}" in verdict.reasons[1]


def test_the_base_rate_itself_does_not_ship(rows: Examples) -> None:
    constant = evaluated(np.full(ROWS, 0.067), rows)

    assert "does not beat the base rate beyond doubt" in reason(constant, None, "Log loss")
    assert "does not tell who will spend" in reason(constant, None, "ROC AUC")


def test_a_model_of_noise_does_not_ship(rows: Examples) -> None:
    noise = evaluated(np.random.default_rng(5).permutation(held_out()[1]), rows)

    assert "does not beat the base rate beyond doubt" in reason(noise, None, "Log loss")


def test_a_gain_that_may_be_luck_does_not_ship(good: Evaluation) -> None:
    lucky = replace(good, log_loss_gain=replace(good.log_loss_gain, low=-0.001))

    assert "does not beat the base rate beyond doubt (gain 0." in reason(lucky, None, "Log loss")


def test_a_good_order_with_absurd_amounts_does_not_ship(rows: Examples) -> None:
    absurd = measure(rows, answers(held_out()[1], amount=700.0), answers(np.full(ROWS, 0.067)))

    assert "beyond doubt not within the 50% allowed" in reason(absurd, None, "total")
    assert "is worse beyond doubt than the mean spend" in reason(absurd, None, "RMSE")


def test_a_value_that_does_not_order_players_does_not_ship(rows: Examples) -> None:
    true = held_out()[1]
    backwards = measure(rows, replace(answers(true), value=0.47 - true), answers(np.full(ROWS, 0.067)))

    assert "does not order" in reason(backwards, None, "Gini")


def test_an_amount_that_one_player_decides_is_no_reason_against_a_model(rows: Examples, good: Evaluation) -> None:
    """A single fortune makes the point estimates of RMSE and total bad, and their intervals wide."""
    unlucky = replace(
        good,
        rmse_gain=replace(good.rmse_gain, value=-0.1, low=-0.4, high=0.2),
        total_error=replace(good.total_error, value=0.6, low=0.1, high=1.2),
    )

    assert judge(unlucky, None).ship


def test_too_few_spends_to_judge_by_do_not_ship(good: Evaluation) -> None:
    few = replace(good, positives=12)

    assert reason(few, None, "Only") == (
        "Against it: Only 3,000 examples of later days, 12 of them with spend: too few to judge by, 500 and 30 are needed."
    )


def test_a_model_like_the_champion_ships(good: Evaluation) -> None:
    verdict = judge(good, good)

    assert verdict.ship
    assert "is as good as the one that serves (difference +0.0000" in verdict.reasons[-1]


def test_a_model_that_is_worse_than_the_champion_does_not_ship(rows: Examples, good: Evaluation) -> None:
    blurred = evaluated(np.sqrt(held_out()[1] * 0.067), rows)

    assert judge(blurred, None).ship
    assert "is worse than the one that serves" in reason(blurred, good, "champion's")


def test_a_model_that_is_better_than_the_champion_ships(rows: Examples, good: Evaluation) -> None:
    assert judge(good, evaluated(np.sqrt(held_out()[1] * 0.067), rows)).ship


def test_models_that_were_judged_on_different_rows_are_not_compared(good: Evaluation) -> None:
    other = evaluated(held_out(seed=1)[1], held_out(seed=1)[0])

    with pytest.raises(BadInput, match="different rows; evaluate both on the same examples"):
        judge(good, other)


def test_an_evaluation_comes_back_from_its_file(tmp_path: Path, good: Evaluation) -> None:
    (tmp_path / "metrics.json").write_text(good.to_json())

    assert read_evaluation(tmp_path / "metrics.json") == good


def test_an_empty_file_is_no_champion(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").touch()

    assert read_evaluation(tmp_path / "metrics.json") is None


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"rows": 3}'])
def test_another_file_is_no_evaluation(tmp_path: Path, text: str) -> None:
    (tmp_path / "metrics.json").write_text(text)

    with pytest.raises(BadInput, match="evaluate the model again"):
        read_evaluation(tmp_path / "metrics.json")


def test_a_missing_evaluation_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="evaluate the model first"):
        read_evaluation(tmp_path / "metrics.json")


def test_players_are_drawn_and_not_rows(rows: Examples) -> None:
    """Rows of one player stand or fall together, so that the interval is wider than rows alone would make it."""
    alone = replace_players(rows, np.arange(ROWS))
    together = replace_players(rows, np.argsort(np.argsort(rows.spend > 0, kind="stable")) // 100)

    narrow, wide = (evaluated(held_out()[1], one).roc_auc for one in (alone, together))

    assert wide.value == narrow.value
    assert wide.high - wide.low != pytest.approx(narrow.high - narrow.low, rel=0.05)


def replace_players(rows: Examples, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Examples:
    return replace(rows, players=np.array([f"p{number:05}" for number in numbers], object))


def test_bounds_are_judged_by_what_lies_between_them() -> None:
    rows = Examples(
        inputs={},
        spend=np.array([0.0, 0.0, 2.0, 5.0]),
        players=np.array(["a", "b", "c", "d"], object),
        at_micros=np.arange(4),
    )
    given = Predictions(
        value=np.ones(4),
        lower_bound=np.array([0.0, 1.0, 1.0, 1.0]),
        upper_bound=np.array([0.0, 2.0, 2.0, 4.0]),
        probability=np.full(4, 0.5),
    )

    interval = measure(rows, given, given).interval

    assert (interval.coverage, interval.coverage_of_spenders, interval.mean_width) == (0.5, 0.5, 1.25)


def against(probability: Floats, rows: Examples) -> Evaluation:
    """Judge a model of the true chances against a rival of these."""
    usual = answers(np.full(ROWS, 0.067))
    return measure(rows, answers(held_out()[1]), usual, rivals={"rival": answers(probability)})


def test_a_rival_that_is_better_keeps_a_model_from_shipping(rows: Examples) -> None:
    knows = np.where(rows.spend > 0, 0.9, 0.01)

    assert "does not beat the rival" in reason(against(knows, rows), None, "rival")


def test_a_rival_that_is_as_good_has_to_be_beaten_only_where_that_is_asked(rows: Examples) -> None:
    same = against(held_out()[1], rows)

    assert judge(same, None).ship
    assert not judge(same, None, strict=True).ship
    assert judge(against(np.full(ROWS, 0.067), rows), None, strict=True).ship


def test_a_slice_that_is_worse_than_the_constant_beyond_doubt_is_held_against_a_model(rows: Examples) -> None:
    """Known players are answered as well as can be, and the others as wrongly."""
    usual, true = np.full(ROWS, 0.067), held_out()[1]
    known = frozenset(f"p{number}" for number in range(700))
    wrong = np.where([player in known for player in rows.players], true, 0.47 - true)

    found = measure(rows, answers(wrong), answers(usual), known=known)

    assert [one.name for one in found.slices] == ["players of the training", "players unknown to the training"]
    assert "players unknown to the training" in reason(found, None, "Worse than the constant")


def test_a_part_of_few_rows_is_not_judged(rows: Examples, good: Evaluation) -> None:
    usual = answers(np.full(ROWS, 0.067))

    assert good.slices == ()
    assert measure(rows, usual, usual, known=frozenset(f"p{number}" for number in range(5))).slices[0].rows > 2900


def test_who_ships_a_model_by_hand_is_recorded_with_what_the_gate_says(good: Evaluation) -> None:
    verdict = judge(replace(good, positives=1), None, override="Ana: the launch is today")

    assert verdict.ship
    assert "too few to judge by" in verdict.reasons[0]
    assert "(Ana: the launch is today); the gate says: not ship." in verdict.reasons[-1]
