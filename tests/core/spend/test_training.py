"""Training the spend model: what it learns, the same from the same examples, and nothing where there is nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.errors import BadInput
from questline_core.spend.arrays import read_examples
from questline_core.spend.evaluation import evaluate
from questline_core.spend.gate import judge

pytestmark = pytest.mark.timeout(600)  # the fixtures train for half a minute of CPU


def test_predictions_add_up_to_what_came(model: Path, examples: Path) -> None:
    from questline_core.spend.saved import ask as ask_all

    learned = read_examples(examples / "train.parquet")
    answers = ask_all(model, learned)

    assert (learned.spend > 0).mean() < 0.15
    assert answers.probability.mean() == pytest.approx((learned.spend > 0).mean(), rel=1e-4)
    assert answers.value.sum() == pytest.approx(learned.spend.sum(), rel=0.1)


def test_a_model_of_shuffled_labels_does_not_ship(
    tmp_path: Path, make_examples: Callable[..., Path], trained: Callable[..., Path]
) -> None:
    shuffled = make_examples(tmp_path / "examples", shuffled=True)
    found = evaluate(trained(shuffled, tmp_path / "model", epochs=3), shuffled, tmp_path / "report")

    verdict = judge(found, None)

    assert not verdict.ship
    assert any("does not beat the base rate beyond doubt" in reason for reason in verdict.reasons)


def test_the_same_examples_and_seed_give_the_same_model(
    examples: Path, model: Path, tmp_path: Path, trained: Callable[..., Path]
) -> None:
    again = trained(examples, tmp_path / "again")

    assert (again / "golden.json").read_text() == (model / "golden.json").read_text()


def test_each_network_leaves_out_its_share_of_the_players_and_of_the_spends(examples: Path) -> None:
    from questline_core.spend.training import _left_out

    data = read_examples(examples / "train.parquet")
    left_out = _left_out(data, 3)

    by_player = {(player, member) for player, member in zip(data.players, left_out.tolist(), strict=True)}
    assert len(by_player) == len(set(data.players))
    for rows in (np.ones(len(data), bool), data.spend > 0):
        assert np.bincount(left_out[rows]) / rows.sum() == pytest.approx([0.25] * 4, abs=0.03)
    assert (left_out == _left_out(data, 3)).all()


def test_examples_without_spend_teach_nothing(
    tmp_path: Path, make_examples: Callable[..., Path], trained: Callable[..., Path]
) -> None:
    examples = make_examples(tmp_path / "examples", base_logit=-50.0)

    with pytest.raises(BadInput, match="has any spend, so there is nothing to learn"):
        trained(examples, tmp_path / "model")
    with pytest.raises(BadInput, match="needs rows with spend and rows without"):
        evaluate(tmp_path / "model", examples, tmp_path / "report")


def test_examples_of_a_few_players_only_teach_nothing_of_others(
    tmp_path: Path, make_examples: Callable[..., Path], trained: Callable[..., Path]
) -> None:
    few = make_examples(tmp_path / "examples")
    table = pq.read_table(few / "train.parquet")
    players = pa.array([f"p{row % 3}" for row in range(len(table))])
    pq.write_table(table.set_column(table.column_names.index("player"), "player", players), few / "train.parquet")

    with pytest.raises(BadInput, match="of 3 players and 4 are needed"):
        trained(few, tmp_path / "model")


def test_a_folder_without_examples_is_told(tmp_path: Path, trained: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match=r"train\.parquet holds no examples of the spend model"):
        trained(tmp_path, tmp_path / "model")
