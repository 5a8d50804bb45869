"""The true chances: they come out as they say, and nothing that is measured on them is told otherwise."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from questline_core.cli import questline
from questline_ingest.simulate import Summary, World, simulate, summarise
from questline_ingest.simulate.targets import targets
from questline_ingest.simulate.truth import Truths, ceiling, truths

WORLD = World(start=date(2026, 3, 2), players=400, days=14, seed=6, resend_rate=0)
DAY = 86_400_000_000


@pytest.fixture(scope="module")
def found() -> Truths:
    return truths(WORLD, horizon_hours=24, draws=16)


def test_the_told_outcomes_are_those_of_the_events(found: Truths) -> None:
    spends, times = defaultdict[str, list[tuple[int, float]]](list), dict[str, int]()
    for event in simulate(WORLD):
        times[event.event_id] = event.event_timestamp
        if event.event_name == "spend_virtual_currency":
            [steps] = [p.value.int_value or p.value.double_value for p in event.event_params if p.key == "value"]
            spends[event.user_pseudo_id].append((event.event_timestamp, steps))

    assert len(found.spend) > 400
    for one in found.spend:
        assert times[one.event_id] == one.at_micros
        after = [steps for at, steps in spends[one.player] if one.at_micros < at <= one.at_micros + DAY]
        assert sum(after) == one.spend


def test_as_many_spend_and_leave_as_the_chances_say(found: Truths) -> None:
    for happened, chance in (
        (np.array([one.spend > 0 for one in found.spend]), np.array([one.probability for one in found.spend])),
        (np.array([one.churned for one in found.churn]), np.array([one.probability for one in found.churn])),
    ):
        error = np.sqrt((chance * (1 - chance)).sum() + chance.sum() / 16)
        assert abs(happened.sum() - chance.sum()) < 4 * error


def test_few_draws_do_not_shift_a_chance() -> None:
    from questline_ingest.simulate.truth import _mean

    random = np.random.default_rng(3)
    events = random.integers(1, 9, (20_000, 8)).astype(np.float64)  # who plays longer spends more, and counts less
    spend = (random.random(events.shape) < 0.05 * events).astype(np.float64)
    true = (spend / events).sum() / (1 / events).sum()

    few = np.array([_mean(*one) for one in zip(spend, 1 / events, strict=True)])
    plain = (spend / events).sum(axis=1) / (1 / events).sum(axis=1)

    assert plain.mean() > 1.03 * true
    assert few.mean() == pytest.approx(true, rel=0.01)


def test_there_is_much_to_learn_and_not_everything(found: Truths) -> None:
    told = ceiling(found)

    assert 0.03 < told["spend"]["positive_share"] < 0.12
    assert 0.85 < told["spend"]["roc_auc"] < 0.96
    assert told["spend"]["normalized_gini"] > 0.7
    assert told["spend"]["log_loss"] < told["spend"]["log_loss_of_base_rate"]
    assert 0.8 < told["churn_of_those_who_did_not_bounce"]["roc_auc"] < 0.99


def test_the_same_world_has_the_same_truth() -> None:
    small = replace(WORLD, players=30, days=4)

    assert truths(small, horizon_hours=24, draws=4) == truths(small, horizon_hours=24, draws=4)


def test_the_truth_is_written_with_its_ceiling(tmp_path: Path) -> None:
    size = ("--players", "120", "--days", "8", "--start", "2026-03-02", "--draws", "4")
    result = CliRunner().invoke(questline, ["simulate", *size, "--truth", str(tmp_path / "truth"), "--json"])
    told = json.loads(result.stdout)

    assert json.loads((tmp_path / "truth/truth.json").read_text())["ceiling"] == told["ceiling"]
    assert pq.read_table(tmp_path / "truth/spend_truth.parquet").num_rows == told["ceiling"]["spend"]["examples"]


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(simulate(replace(WORLD, players=700, days=60)))


def test_players_who_differ_from_the_published_ones_miss_the_target(summary: Summary) -> None:
    missed = {target.what for target in targets(replace(summary, android=0.1, bounced=0.9)) if not target.met}

    assert {"events on Android", "bounced"} <= missed


def test_churn_rises_and_falls_with_engagement_as_published(summary: Summary) -> None:
    churned = {which: share for which, (_, share) in summary.churn_by_engagement.items()}

    assert churned["1-2"] < churned["6-10"] < churned["21-40"]
    assert churned["161-1000000000"] <= churned["21-40"]


def test_a_check_that_fails_says_so_and_exits_with_1() -> None:
    result = CliRunner().invoke(questline, ["simulate", "--check", "--players", "20", "--days", "3"])

    assert result.exit_code == 1
    assert "fail" in result.stdout
    assert "targets met" in result.stdout
