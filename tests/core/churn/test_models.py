"""Models are trained here, judged on rows that they have not seen, and score every player into the lookup."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from questline_core.churn import models, original
from questline_core.churn.evaluation import Costs, best_threshold, evaluate
from questline_core.churn.tables import HOUR, Rules, Split, by_time, prepare, split
from questline_core.errors import BadInput
from questline_core.lookup import Lookup
from questline_core.lookup.publish import SCHEMA, Terms, publish
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse

USERS = Path(__file__).parents[4] / "shared" / "data" / "flood_it_users" / "users.csv"

RULES = Rules(grace_hours=48, warmup_hours=0, holdout_days=14)
pytestmark = pytest.mark.timeout(300)


def _player(name: str, came: int, *, returns: bool, scores: int) -> list[Event]:
    at = [came, came + HOUR, *([came + 2 * DAY] if returns else [])]
    events = [an_event(name, came - 1, "first_open"), *(an_event(name, one, "user_engagement") for one in at)]
    return events + [an_event(name, came + HOUR + one, "post_score") for one in range(scores)]


def _world() -> list[Event]:
    """Four hundred players in forty days, of whom those who score much mostly come back; generated."""
    dice = random.Random(4)
    events = [an_event("old", MONDAY)]
    for number in range(400):
        keen = dice.random() < 0.5
        came = MONDAY + DAY + number * 40 * DAY // 400
        events += _player(
            f"p{number}", came, returns=dice.random() < (0.85 if keen else 0.15), scores=20 if keen else 1
        )
    end = MONDAY + 43 * DAY
    events += [an_event("bouncer", end - 5 * DAY, "user_engagement"), an_event("fresh", end - HOUR, "first_open")]
    return [*events, an_event("end", end, "user_engagement")]


def test_every_player_of_the_last_days_is_scored_and_found_in_the_lookup(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, _world())
    players = prepare(warehouse, RULES)
    split(warehouse, Split(by_time=False))
    models.train(warehouse, "trees")

    held_out = models.predict(warehouse, "trees")
    rows = models.scores(warehouse, "trees", players, RULES)

    assert evaluate(held_out, threshold=0.5, costs=Costs()).roc_auc.value > 0.7
    terms = Terms(
        prior=models.priors(warehouse)["first_hours"], threshold=best_threshold(held_out, Costs()), lineage={}
    )
    publish(tmp_path / "lookup", rows.to_batches(), terms, key=b"k")
    lookup = Lookup(tmp_path / "lookup", key=b"k")
    lookup.refresh()
    seen = {row["user_pseudo_id"]: row for row in rows.to_pylist()}
    assert rows.schema == SCHEMA
    assert "old" not in seen
    assert "p0" not in seen
    assert {seen[name]["source"] for name in ("fresh", "end")} == {"first_hours"}
    assert seen["bouncer"]["source"] == "bounced"
    for number in range(300, 400):
        assert seen[f"p{number}"]["source"] == "trees"
    for name, row in seen.items():
        score = lookup.get(name)
        assert score.probability == pytest.approx(row["probability"], abs=1e-6)
        assert score.source == row["source"]
        assert len(score.reasons) == (3 if score.source == "trees" else 0)
    assert lookup.get("p350").reasons[0] == "cnt_post_score"
    assert lookup.get("nobody").source == "unknown"


def test_a_score_is_the_probability_of_leaving_whatever_is_predicted(warehouse: Warehouse) -> None:
    fill(warehouse, _world())
    players = prepare(warehouse, RULES)
    split(warehouse, Split(by_time=False))
    models.train(warehouse, "logistic")

    rows = models.scores(warehouse, "logistic", players, RULES).to_pylist()

    told = warehouse.query("""
        SELECT user_pseudo_id, (SELECT one.prob FROM UNNEST(predicted_churned_probs) AS one WHERE one.label = 1) AS prob
        FROM ML.PREDICT(MODEL churn.logistic, TABLE churn.to_score)
    """)
    probability = dict(zip(told["user_pseudo_id"].to_pylist(), told["prob"].to_pylist(), strict=True))
    of_model = {row["user_pseudo_id"]: row["probability"] for row in rows if row["source"] == "logistic"}
    assert any(value > 0.5 for value in of_model.values())
    assert any(value < 0.5 for value in of_model.values())
    for player, value in of_model.items():
        assert value == pytest.approx(probability[player], abs=1e-9)


def test_the_priors_are_the_shares_that_left_with_one_of_each_kind_added(warehouse: Warehouse) -> None:
    came = MONDAY + 2 * DAY
    fill(
        warehouse,
        [
            an_event("old", MONDAY),
            an_event("b1", came, "user_engagement"),
            an_event("b2", came, "user_engagement"),
            *_player("stays", came, returns=True, scores=0),
            *_player("leaves", came, returns=False, scores=0),
            an_event("end", MONDAY + 20 * DAY),
        ],
    )
    prepare(warehouse, RULES)

    assert models.priors(warehouse) == {"first_hours": pytest.approx(4 / 6), "bounced": pytest.approx(3 / 4)}


def test_a_model_that_does_not_exist_is_named(warehouse: Warehouse) -> None:
    with pytest.raises(BadInput, match="'forest'; take one of logistic, trees, network"):
        models.train(warehouse, "forest")


@pytest.mark.skipif(not USERS.exists(), reason=f"the real players are not there: {USERS}")
def test_the_published_figures_are_reached_and_calendar_features_are_worth_nothing_in_time(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    original.players_from_users(warehouse, USERS)
    september_4 = 1_536_019_200_000_000
    found: dict[tuple[str, str], Any] = {}
    for name, chosen in (
        ("hash", Split(by_time=False)),
        ("time", Split(by_time=True, judged_after_micros=september_4)),
    ):
        original.split(warehouse, chosen)
        for kind in ("trees_calendar", "trees_no_calendar"):
            original.train(warehouse, kind)
            rows = original.predict(warehouse, kind)
            found[name, kind] = evaluate(rows, threshold=best_threshold(rows, Costs()), costs=Costs()).roc_auc
    with capsys.disabled():
        for (name, kind), auc in found.items():
            print(f"\n{kind} by {name}: ROC AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})", end="")  # noqa: T201 - the figures are what a reader wants

    assert found["hash", "trees_calendar"].value >= 0.785
    assert found["hash", "trees_no_calendar"].value >= 0.74
    assert found["time", "trees_calendar"].value - found["time", "trees_no_calendar"].value < 0.01


def test_the_split_by_time_trains_too(warehouse: Warehouse) -> None:
    fill(warehouse, _world())
    players = prepare(warehouse, RULES)
    split(warehouse, by_time(players, RULES))
    models.train(warehouse, "trees")

    assert evaluate(models.predict(warehouse, "trees"), threshold=0.5, costs=Costs()).roc_auc.value > 0.7
