"""When it is known who came back, the answers of churn are held against that."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from questline_core.churn.tables import HOUR, Rules, prepare
from questline_core.monitoring.answers import answers
from questline_core.monitoring.churn import FIRST_DAY, LATER, ChurnOutcomes, churn_outcomes
from questline_core.monitoring.commands import monitor
from questline_core.monitoring.outcomes import PRIOR
from questline_core.monitoring.profile import Profile
from questline_core.pb.broker_pb2 import Served
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.answers import an_answer, fill_answers
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse

START = MONDAY + 10 * DAY
NOW = MONDAY + 40 * DAY
SPAN = [an_event("old", MONDAY), an_event("late", NOW)]
DUE = DAY + Rules().grace_hours * HOUR


def engaged(player: str, *at_micros: int, touched: int | None = None) -> list[Event]:
    """Let a player be engaged at these times, and the first time open the game a moment before."""
    events = [an_event(player, at, "user_engagement") for at in at_micros]
    for event in events:
        event.user_first_touch_timestamp = at_micros[0] - 1 if touched is None else touched
    return events


def said(event: Event, probability: float, **fields: str) -> Served:
    told: dict[str, Any] = {"model": "churn", "revision": "g1"} | fields
    return an_answer(event, value=probability, probability=probability, **told)


def found(warehouse: Warehouse) -> ChurnOutcomes:
    return churn_outcomes(warehouse, answers(warehouse, since_micros=0, model="churn"), now_micros=NOW)


def test_an_answer_of_the_first_day_is_held_against_the_label_that_the_models_learn(empty: Warehouse) -> None:
    stays = engaged(
        "ann", START, START + 20 * HOUR, START + DAY
    )  # asked when 4 hours are left, back when they are over
    leaves = engaged("bob", START, START + 20 * HOUR)
    fill(empty, [*SPAN, *stays, *leaves])
    fill_answers(empty, [said(stays[1], 0.25), said(leaves[1], 0.75)])

    judged = found(empty)

    (only,) = judged.found
    assert (only.revision, only.life, only.answers, only.left) == ("g1", FIRST_DAY, 2, 1)
    assert (only.expected, only.roc_auc) == (1.0, 1.0)
    assert only.log_loss == pytest.approx(-math.log(0.75))
    assert only.brier == pytest.approx(0.0625)
    assert [(tenth.predicted, tenth.actual) for tenth in only.calibration] == [(0.25, 0), (0.75, 1)]
    prepare(empty, Rules())
    rows = empty.query("SELECT user_pseudo_id, churned FROM churn.players WHERE churned IS NOT NULL").to_pylist()
    assert {row["user_pseudo_id"]: row["churned"] for row in rows} == {"ann": 0, "bob": 1}


def test_a_later_answer_is_held_against_whether_its_player_comes_back_once_more(empty: Warehouse) -> None:
    asked = START + 3 * DAY
    stays, leaves = engaged("ann", START, asked, asked + DAY), engaged("bob", START, asked, asked + DAY - 1)
    fill(empty, [*SPAN, *stays, *leaves])
    fill_answers(empty, [said(stays[1], 0.5), said(leaves[1], 0.5)])

    (only,) = found(empty).found

    assert (only.life, only.answers, only.left, only.roc_auc) == (LATER, 2, 1, 0.5)


def test_who_came_before_the_table_starts_has_no_first_day_in_it(empty: Warehouse) -> None:
    events = engaged("ann", START, touched=MONDAY - DAY)
    fill(empty, [*SPAN, *events])
    fill_answers(empty, [said(events[0], 0.5)])

    (only,) = found(empty).found

    assert (only.life, only.left) == (LATER, 1)
    assert math.isnan(only.roc_auc)


@pytest.mark.parametrize(("before_due", "waiting"), [(0, 0), (1, 1)])
def test_an_answer_waits_until_its_label_is_due(empty: Warehouse, before_due: int, waiting: int) -> None:
    young = engaged("ann", NOW - DUE + before_due)
    again = engaged("bob", START, NOW - DUE + before_due)
    fill(empty, [*SPAN, *young, *again])
    fill_answers(empty, [said(young[0], 0.5), said(again[1], 0.5)])

    judged = found(empty)

    assert (judged.waiting, len(judged.found)) == (2 * waiting, 2 - 2 * waiting)


def test_a_player_who_was_never_engaged_has_no_label(empty: Warehouse) -> None:
    looked = an_event("ann", START)
    fill(empty, [*SPAN, looked])
    fill_answers(empty, [said(looked, 0.5)])

    assert (found(empty).waiting, found(empty).found) == (1, [])


def test_generations_priors_and_spend_are_kept_apart_and_a_player_counts_once_a_day(empty: Warehouse) -> None:
    day = engaged("ann", *(START + n * HOUR for n in range(10)))
    others = [engaged(name, START)[0] for name in ("bob", "cat", "dan")]
    fill(empty, [*SPAN, *day, *others])
    told = [said(event, 0.5) for event in day]
    told += [said(others[0], 0.5, revision="g2"), said(others[1], 0.5, revision="", source="DEFAULT")]
    fill_answers(empty, [*told, an_answer(others[2])])

    judged = found(empty).found

    assert sorted((one.revision, one.answers) for one in judged) == [("g1", 1), ("g2", 1), (PRIOR, 1)]


def test_without_answers_there_is_nothing_to_judge(empty: Warehouse) -> None:
    fill(empty, SPAN)

    assert (found(empty).found, found(empty).waiting) == ((), 0)


def test_the_command_and_its_page_tell_of_churn(
    empty: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = tmp_path / "models" / "spend" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(json.dumps({"name": "spend", "version": "v1"}))
    Profile.of({"event_name": np.array(["screen_view"] * 9, object)}).write(version)
    leaves, stays = engaged("ann", START), engaged("bob", START, START + 5 * DAY)
    fill(empty, [*SPAN, *leaves, *stays])
    fill_answers(empty, [said(leaves[0], 0.75), said(stays[0], 0.25)])
    monkeypatch.setenv("QUESTLINE_WAREHOUSE", f"duckdb:{tmp_path / 'warehouse'}")
    monkeypatch.setenv("QUESTLINE_MODEL_STORE", str(tmp_path / "models"))
    page = tmp_path / "page.html"

    app = Typer()
    app.command()(monitor)
    ran = CliRunner().invoke(app, ["--windows", "6", "--report", str(page)])

    assert ran.exit_code == 0, ran.output
    assert "2 answers  g1  first 24 hours  left 1 of 1.0  log loss 0.2877  Brier 0.0625  ROC AUC 1.000" in ran.output
    assert "Was a chance of leaving what it said?" in page.read_text()
