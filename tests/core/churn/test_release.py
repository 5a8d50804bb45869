"""A training is judged, a champion taken or refused, and everybody scored, exported and explained."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from questline_core.churn import gate, models, release
from questline_core.churn.evaluation import Costs
from questline_core.churn.judging import InUse, Judged, judge
from questline_core.churn.report import explanations, page_of
from questline_core.churn.tables import HOUR, Players, Rules, Split, prepare, split
from questline_core.churn.validation import validate
from questline_core.errors import BadInput, NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_core.spend.evaluation import Range
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse, open_warehouse

RULES = Rules(grace_hours=48, warmup_hours=0)
pytestmark = pytest.mark.timeout(300)


def _events() -> Iterator[Event]:
    """Three hundred players, of whom those who score much mostly come back; generated."""
    dice = random.Random(4)
    yield an_event("old", MONDAY)
    for number in range(300):
        keen, came = dice.random() < 0.5, MONDAY + DAY + number * 30 * DAY // 300
        returns = dice.random() < (0.9 if keen else 0.1)
        yield an_event(f"p{number}", came - 1, "first_open")
        for at in (came, came + HOUR, *([came + 2 * DAY] if returns else [])):
            yield an_event(f"p{number}", at, "user_engagement")
        for at in range(20 if keen else 1):
            yield an_event(f"p{number}", came + HOUR + at, "post_score")
    yield an_event("fresh", MONDAY + 34 * DAY, "user_engagement")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Warehouse, Players]]:
    folder = tmp_path_factory.mktemp("warehouse")
    with closing(open_warehouse(f"duckdb:{folder}")) as warehouse:
        fill(warehouse, list(_events()))
        players = prepare(warehouse, RULES)
        split(warehouse, Split(by_time=False))
        for kind in models.KINDS:
            models.train(warehouse, kind, version="one")
        yield warehouse, players


@pytest.fixture(scope="module")
def judged(trained: tuple[Warehouse, Players]) -> Judged:
    return judge(trained[0], "one", None, Costs())


def test_the_champion_has_the_least_log_loss_and_survives_json(judged: Judged) -> None:
    losses = {kind: one.log_loss.value for kind, one in judged.models.items()}

    assert losses.keys() == set(models.KINDS)
    assert losses[judged.champion] == min(losses.values())
    assert next(iter(judged.importance)) == "cnt_post_score"
    assert Judged.from_json(judged.to_json()) == judged


def test_a_champion_is_taken_for_reasons_and_refused_when_it_is_worse_beyond_doubt(judged: Judged) -> None:
    taken = gate.decide(judged)
    in_use = InUse(kind="trees", version="before", threshold=0.4)
    worse = replace(judged, in_use=in_use, worse_than_in_use=Range(value=0.2, low=0.1, high=0.3))
    unsure = replace(worse, worse_than_in_use=Range(value=0.2, low=-0.1, high=0.3))
    base = replace(judged.best, base_log_loss=judged.best.log_loss.value)

    assert taken.is_new
    assert taken.model == InUse(kind=judged.champion, version="one", threshold=judged.best.threshold)
    assert gate.decide(unsure).is_new
    assert gate.decide(worse).model == in_use
    assert not gate.decide(worse).is_new
    refused = gate.decide(replace(judged, models={**judged.models, judged.champion: base}))
    assert (refused.model, refused.is_new) == (None, False)


def test_a_model_in_use_is_judged_on_the_same_players(trained: tuple[Warehouse, Players], judged: Judged) -> None:
    again = judge(trained[0], "one", InUse(kind=judged.champion, version="one", threshold=0.5), Costs())

    assert again.worse_than_in_use == Range(value=0.0, low=0.0, high=0.0)
    assert again.in_use_evaluation
    assert again.in_use_evaluation.log_loss == again.best.log_loss


def test_the_page_shows_all_models_and_explains_players(trained: tuple[Warehouse, Players], judged: Judged) -> None:
    explained = explanations(trained[0], judged)
    html = page_of(judged, explained)

    assert [one["probability"] for one in explained] == sorted(one["probability"] for one in explained)
    assert all(len(one["attributions"]) == 3 for one in explained)
    strongest = [one["attributions"][0] for one in (explained[0], explained[-1])]
    assert [each["feature"] for each in strongest] == ["cnt_post_score"] * 2
    assert strongest[0]["attribution"] < 0 < strongest[1]["attribution"]  # keen players stay, the others leave
    for text in (*models.KINDS, explained[0]["user_pseudo_id"], "cnt_post_score"):
        assert text in html


def test_the_page_says_what_errors_are_assumed_to_cost_and_of_how_many_players_its_figures_are(judged: Judged) -> None:
    costs = Costs(missed=7.0, treated=6.25)
    html = page_of(replace(judged, costs=costs), [])

    assert "assumed, not measured: 7 for a player who leaves, 6.25 for one who would leave" in " ".join(html.split())
    assert f"other half, {judged.best.at_threshold.rows} players" in " ".join(html.split())
    assert f"<b>{judged.best.at_threshold.recall:.0%}</b><span>of those who left were said to leave" in html


def test_scores_are_exported_in_the_published_columns(trained: tuple[Warehouse, Players], tmp_path: Path) -> None:
    warehouse, players = trained
    rows, terms = release.score(
        warehouse, InUse(kind="trees", version="one", threshold=0.5), players, RULES, lineage={}
    )
    release.export_csv(warehouse, rows, terms, str(tmp_path / "out"))

    (file,) = (tmp_path / "out").glob("scores-*.csv")
    told = list(csv.DictReader(file.read_text().splitlines()))
    assert list(told[0]) == ["user_pseudo_id", "churned", "predicted_churned", "probability_churned"]
    assert len(told) == rows.num_rows
    for one in told:
        assert one["predicted_churned"] == str(int(float(one["probability_churned"]) >= 0.5))
    with pytest.raises(BadInput, match="without quotes"):
        release.export_csv(warehouse, rows, terms, "a'b")


def test_without_a_model_everybody_has_a_labelled_prior(trained: tuple[Warehouse, Players]) -> None:
    warehouse, players = trained
    rows, terms = release.score(warehouse, None, players, RULES, lineage={})

    assert {(row["source"], row["probability"]) for row in rows.to_pylist()} == {
        ("prior", terms.prior),
        ("first_hours", terms.prior),
    }
    assert terms.threshold == pytest.approx(1 / 3)


def test_only_the_model_in_use_is_kept(trained: tuple[Warehouse, Players]) -> None:
    warehouse, _ = trained
    models.train(warehouse, "logistic", version="two")
    models.train(warehouse, "logistic", version="three")
    assert release.read_in_use(warehouse) is None

    two = InUse(kind="logistic", version="two", threshold=0.3)
    release.take_in_use(warehouse, two, dropping="two")
    release.take_in_use(warehouse, two, dropping="three")

    assert release.read_in_use(warehouse) == two
    models.predict(warehouse, "logistic", version="two")
    with pytest.raises(BadInput, match="logistic_three"):
        models.predict(warehouse, "logistic", version="three")


def test_too_few_labelled_players_are_refused_with_the_number(trained: tuple[Warehouse, Players]) -> None:
    warehouse, players = trained
    assert validate(warehouse, players)["training"] >= 100
    with pytest.raises(NotReady, match=r"0\.0% of the labelled players left"):
        validate(warehouse, replace(players, churned=0))
