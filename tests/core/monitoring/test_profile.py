"""The distances between what a model learned from and what it is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from questline_core.errors import BadInput
from questline_core.monitoring.profile import PROFILE, ColumnProfile, Profile, ScoreProfile


def normal(mean: float, *, seed: int, rows: int = 20_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, rows)


def test_the_same_values_are_at_no_distance() -> None:
    values = normal(0, seed=1)
    found = ColumnProfile.of(values).distances(values)

    assert (found.psi, found.ks, found.js) == (0, 0, 0)


def test_other_draws_of_the_same_distribution_have_not_moved() -> None:
    assert ColumnProfile.of(normal(0, seed=1)).distances(normal(0, seed=2)).psi < 0.01


def test_the_kolmogorov_smirnov_distance_is_scipys_to_the_width_of_a_bin() -> None:
    before, after = normal(0, seed=1), normal(0.5, seed=2)

    found = ColumnProfile.of(before).distances(after).ks

    exact = ks_2samp(before, after).statistic
    assert exact - 0.05 <= found <= exact


def test_the_jensen_shannon_divergence_is_scipys() -> None:
    profile = ColumnProfile.of(normal(0, seed=1))
    after = normal(1, seed=2)

    exact = jensenshannon(profile.shares, profile.shares_of(after), base=2) ** 2

    assert profile.distances(after).js == pytest.approx(exact, abs=1e-12)


def test_the_stability_index_of_two_known_shares_is_the_textbooks() -> None:
    profile = ColumnProfile.of(np.array(["a"] * 60 + ["b"] * 40, object))

    moved = profile.distances(np.array(["a"] * 40 + ["b"] * 60, object)).psi

    assert moved == pytest.approx(0.2 * np.log(1.5) + 0.2 * np.log(1.5))


def test_what_is_missing_is_a_value_of_its_own() -> None:
    known = np.array([1.0, 2.0, 3.0, 4.0])
    profile = ColumnProfile.of(known)

    assert profile.missing == 0
    assert profile.distances(np.array([1.0, 2.0, np.nan, np.nan])).ks == pytest.approx(0.5)


@pytest.mark.parametrize("values", [np.full(10, np.nan), np.full(10, "", object), np.full(10, 3.0)])
def test_a_column_that_never_varies_has_a_profile(values: np.ndarray) -> None:
    profile = ColumnProfile.of(values)

    assert sum(profile.shares) == pytest.approx(1)
    assert profile.distances(values).psi == 0


def test_rare_texts_share_one_place() -> None:
    profile = ColumnProfile.of(np.array([f"kind-{number}" for number in range(100)], object))

    assert len(profile.kinds) == 20
    assert profile.shares[-2] == pytest.approx(0.8)


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    profile = Profile.of({"level": normal(0, seed=1), "country": np.array(["DE"] * 20_000, object)})
    profile.write(tmp_path)

    read = Profile.read(tmp_path)

    assert read is not None
    assert read.columns["level"].distances(normal(0, seed=1)).psi == pytest.approx(0)
    assert read.rows == 20_000


def test_a_model_without_a_profile_has_none_and_a_broken_one_is_told(tmp_path: Path) -> None:
    assert Profile.read(tmp_path) is None

    (tmp_path / PROFILE).write_text("{}")
    with pytest.raises(BadInput, match="train the model again"):
        Profile.read(tmp_path)


def test_no_rows_have_no_profile() -> None:
    with pytest.raises(BadInput, match="at least one row"):
        ColumnProfile.of(np.empty(0))


def some_scores(rng: np.random.Generator, *, buyers: int, lookers: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores at events of two kinds: those who buy score higher."""
    scores = np.concatenate([rng.normal(2, 1, buyers), rng.normal(0, 1, lookers)])
    return scores, np.array(["purchase"] * buyers + ["screen_view"] * lookers, object)


def test_a_game_that_asks_at_other_events_has_no_drift_of_scores_and_one_whose_answers_move_has() -> None:
    scores, kinds = some_scores(np.random.default_rng(1), buyers=3_000, lookers=7_000)
    profile = ScoreProfile.of(scores, kinds)

    asked_at_purchases, only = some_scores(np.random.default_rng(2), buyers=4_000, lookers=500)

    assert profile.whole.distances(asked_at_purchases).psi > 0.5
    assert profile.distances(asked_at_purchases, only).psi < 0.02
    assert profile.distances(asked_at_purchases + 1, only).psi > 0.25


def test_scores_at_a_kind_of_event_that_training_did_not_know_are_compared_with_all() -> None:
    scores, kinds = some_scores(np.random.default_rng(1), buyers=500, lookers=500)
    profile = ScoreProfile.of(scores, kinds)

    found = profile.distances(scores, np.full(1_000, "a_new_kind", object))

    assert found == profile.whole.distances(scores)


def test_a_profile_keeps_its_scores(tmp_path: Path) -> None:
    scores, kinds = some_scores(np.random.default_rng(1), buyers=500, lookers=500)
    profile = Profile.of({"event_name": kinds}, scores={"value": scores})
    profile.write(tmp_path)

    read = Profile.read(tmp_path)

    assert read is not None
    assert read.scores["value"].distances(scores, kinds) == profile.scores["value"].distances(scores, kinds)
