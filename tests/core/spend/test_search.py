"""Which settings are tried, and which trained model is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_core.spend.search import USUAL, Settings, best, tries


def test_a_budget_of_one_tries_the_usual_settings_only() -> None:
    assert [Settings.of(one) for one in tries(1, seed=1)] == [USUAL]


def test_a_larger_budget_tries_as_many_different_settings_and_the_same_ones_each_time() -> None:
    settings = tries(12, seed=1)

    assert len({Settings.of(one) for one in settings}) == 12
    assert settings == tries(12, seed=1) != tries(12, seed=2)
    assert settings[:3] == tries(3, seed=1)


def test_settings_come_back_from_kfp_which_has_no_whole_numbers() -> None:
    found = Settings.of({"width": 32.0, "dropout": 0.1})

    assert found == Settings(width=32, dropout=0.1)
    assert isinstance(found.width, int)
    assert Settings.of({}) == USUAL


def test_an_unknown_setting_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="there are width, dropout, decay, learning_rate"):
        Settings.of({"depth": 3})


def test_the_model_with_the_least_loss_on_players_left_out_is_kept(tmp_path: Path) -> None:
    for name, loss in (("a", 0.5), ("b", 0.25), ("c", 0.75)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "training.json").write_text(json.dumps({"unseen_loss": loss}))

    assert best([tmp_path / name for name in "abc"]) == tmp_path / "b"
    with pytest.raises(BadInput, match="holds no trained model"):
        best([tmp_path])
