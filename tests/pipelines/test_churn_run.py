"""The churn pipeline from end to end by kfp.local: from events to scores that a serving process answers with."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from questline_core.churn.serving import ask
from questline_core.pb.telemetry_pb2 import Event
from questline_core.settings import Home
from questline_core.stack.children import free_ports
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import open_warehouse
from questline_kserve.testing.process import ServingProcess
from questline_pipelines.catalogue import function_of
from questline_pipelines.events import State
from questline_pipelines.record import Run
from questline_pipelines.runs import run_here

pytestmark = pytest.mark.timeout(900)

PLAYERS = 400


def _events() -> Iterator[Event]:
    """Four hundred players, of whom those who score much mostly come back; generated."""
    dice = random.Random(4)
    yield an_event("old", MONDAY)
    for number in range(PLAYERS):
        keen, came = dice.random() < 0.5, MONDAY + DAY + number * 20 * DAY // PLAYERS
        returns = dice.random() < (0.9 if keen else 0.1)
        yield an_event(f"p{number}", came - 1, "first_open")
        for at in (came, came + DAY // 24, *([came + 2 * DAY] if returns else [])):
            yield an_event(f"p{number}", at, "user_engagement")
        for at in range(20 if keen else 1):
            yield an_event(f"p{number}", came + DAY // 24 + at, "post_score")
    yield an_event("fresh", MONDAY + 24 * DAY, "user_engagement")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    rest, grpc = free_ports(2)
    process = ServingProcess(tmp_path_factory.mktemp("home"), rest, grpc)
    process.start()
    process.wait_until_ready()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def home(serving: ServingProcess) -> Home:
    return Home(serving.home)


@pytest.fixture(scope="module")
def run(home: Home) -> Iterator[Run]:
    with closing(open_warehouse(f"duckdb:{home.warehouse}")) as warehouse:
        fill(warehouse, list(_events()))
    parameters = {
        "warehouse": f"duckdb:{home.warehouse}",
        "model_host": f"folder:{home.serving}",
        "lookup": str(home.lookup),
        "csv": str(home.root / "csv"),
        "grace_hours": 48,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUESTLINE_HOME", str(home.root))  # where the key that signs the snapshot lies
        yield run_here("churn", parameters, function=function_of("churn"), folder=home.pipelines)


def test_every_step_is_done_and_the_champion_is_taken(run: Run) -> None:
    assert {step.state for step in run.steps} == {State.DONE}
    assert (run.shipped, run.revision, run.error) == (True, "g000001", None)
    losses = {kind: one["log_loss"]["value"] for kind, one in run.metrics["models"].items()}
    assert losses.keys() == {"logistic", "trees", "network"}
    assert losses[run.metrics["champion"]] == min(losses.values())
    assert run.metrics["champion"] in run.reasons[0]


def test_the_serving_process_answers_for_known_new_and_unknown_players(run: Run, serving: ServingProcess) -> None:
    asked = ask(serving.host, [*(f"p{number}" for number in range(PLAYERS)), "fresh", "nobody"])
    *known, fresh, nobody = asked

    assert {one["source"] for one in known} == {run.metrics["champion"]}
    assert {one["generation"] for one in asked} == {run.revision}
    assert (fresh["source"], nobody["source"]) == ("first_hours", "unknown")
    assert nobody["probability"] == fresh["probability"]
    assert all("cnt_post_score" in one["reasons"] for one in known)


def test_the_files_hold_the_scores_that_are_served(run: Run, home: Home, serving: ServingProcess) -> None:
    assert run.shipped
    (file,) = (home.root / "csv").glob("scores-*.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))

    assert len(rows) == PLAYERS + 2
    for row, told in zip(rows, ask(serving.host, [row["user_pseudo_id"] for row in rows]), strict=True):
        assert float(row["probability_churned"]) == pytest.approx(told["probability"], abs=1e-6)
        assert int(row["predicted_churned"]) == told["predicted_churned"]


def test_the_report_shows_the_models_and_explains_players(run: Run) -> None:
    page = Path(run.report or "").read_text()

    for text in ("ROC curves", "Calibration", "cnt_post_score", *run.metrics["models"]):
        assert text in page
