"""What starts a run, what does not, and that nothing starts two."""

import json
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from questline_core.errors import NotReady
from questline_core.monitoring.profile import Profile
from questline_core.monitoring.watch import LEAST_ROWS
from questline_core.warehouse.port import EVENTS, open_warehouse
from questline_pipelines.record import Run
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.ledger import STARTED, Ledger
from questline_pipelines.trigger.messages import Incident
from questline_pipelines.trigger.starter import Here, Learned

OPEN = Incident(id="incident-1", is_open=True)


def test_an_alert_on_load_starts_one_run(game: Any, desk: Any, starter: Any) -> None:
    game.play(5)

    assert desk().alert(OPEN) == STARTED
    assert len(starter.started) == 1


def test_the_same_alert_again_starts_nothing_also_after_the_run(game: Any, desk: Any, starter: Any) -> None:
    game.play(5)
    desk().alert(OPEN)
    starter.end()
    game.play(5)

    assert desk().alert(OPEN) == "decided already"
    assert len(starter.started) == 1


def test_an_alert_that_closes_starts_nothing(game: Any, desk: Any, starter: Any) -> None:
    game.play(5)

    assert desk().alert(Incident(id="incident-1", is_open=False)) == "the alert closed"
    assert starter.started == []


def test_an_alert_during_a_run_starts_nothing(game: Any, desk: Any, starter: Any) -> None:
    game.play(5)
    desk().alert(OPEN)
    game.play(5)

    assert desk().alert(Incident(id="incident-2", is_open=True)) == "spend-1 goes on"
    assert desk().look() == "spend-1 goes on"
    assert len(starter.started) == 1


def test_an_alert_soon_after_a_run_starts_nothing(game: Any, desk: Any, starter: Any) -> None:
    game.play(5)
    desk().alert(OPEN)
    starter.end()
    game.play(5)

    assert "less than 900 s ago" in desk(trigger_debounce_s=900).alert(Incident(id="incident-2", is_open=True))
    assert len(starter.started) == 1


def test_an_alert_without_a_new_label_starts_nothing(game: Any, desk: Any, starter: Any) -> None:
    assert desk().alert(OPEN) == "nothing new to learn from"
    game.play(5)
    desk().look()
    desk().alert(Incident(id="incident-2", is_open=True))
    starter.end()

    assert desk().alert(Incident(id="incident-3", is_open=True)) == "nothing new to learn from"
    assert len(starter.started) == 1


def test_a_run_that_cannot_be_started_is_not_decided_so_that_the_alert_may_come_again(
    game: Any, desk: Any, starter: Any
) -> None:
    game.play(5)
    starter.broken = True
    with pytest.raises(NotReady):
        desk().alert(OPEN)

    starter.broken = False

    assert desk().alert(OPEN) == STARTED


def test_enough_new_labels_start_one_run_and_fewer_none(game: Any, desk: Any, starter: Any) -> None:
    game.play(29)
    assert desk().look() == "nothing new to learn from"

    game.play(1)  # with the first player's return on each day that makes enough

    assert [desk().look(), desk().look()] == [STARTED, "spend-1 goes on"]
    starter.end()
    assert desk().look() == "nothing new to learn from"
    assert len(starter.started) == 1


def test_labels_count_since_the_last_training(game: Any, desk: Any, starter: Any) -> None:
    game.play(40)
    desk().look()
    starter.end()

    game.play(10)
    assert desk().look() == "nothing new to learn from"
    game.play(25)
    assert desk().look() == STARTED


def test_what_a_run_by_hand_learned_is_not_learned_again(game: Any, desk: Any, starter: Any) -> None:
    game.play(40)
    with closing(open_warehouse(game.settings().warehouse_url)) as warehouse:
        starter.by_hand = Learned(data_version=warehouse.version(EVENTS), until_micros=game.at)

    assert desk().look() == "nothing new to learn from"
    game.play(20)
    assert desk().look() == "nothing new to learn from"
    game.play(20)
    assert desk().look() == STARTED


def test_what_runs_on_this_machine_learned_stands_in_the_latest_that_came_to_its_end(tmp_path: Path) -> None:
    whole = {"parameters": {"data_version": "d1"}, "metrics": {"last_micros": 11}, "error": None}
    broken = {"parameters": {"data_version": "d3"}, "metrics": {}, "error": "train failed: no luck"}
    for day, facts in ((1, whole), (2, whole | {"parameters": {"data_version": "d2"}}), (3, broken)):
        record = tmp_path / "runs" / f"spend-2026010{day}-120000-abcd" / "run.json"
        record.parent.mkdir(parents=True)
        empty = {field.name: None for field in fields(Run)}
        record.write_text(Run(**empty | facts).to_json())

    assert Here(tmp_path).learned("spend") == Learned(data_version="d2", until_micros=11)
    assert Here(tmp_path).learned("churn") is None


def test_a_record_of_an_earlier_version_does_not_tell_what_its_run_learned(tmp_path: Path) -> None:
    record = tmp_path / "runs" / "spend-20260101-120000-abcd" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"metrics": {"last_micros": 11}, "error": None}))

    assert Here(tmp_path).learned("spend") is None


def test_a_failed_run_leaves_its_labels_to_the_next_but_is_not_repeated_on_the_same_data(
    game: Any, desk: Any, starter: Any
) -> None:
    game.play(40)
    desk().look()
    starter.end("train failed: no luck")

    assert desk().look() == "nothing new to learn from"
    game.play(1)
    assert desk().look() == STARTED


def test_load_starts_one_run_for_the_first_label(game: Any, desk: Any, starter: Any) -> None:
    game.play(5, received_now=True, times=4)

    assert desk(trigger_load_rows=30).look() == "nothing new to learn from"
    assert desk(trigger_load_rows=20).look() == STARTED
    assert len(starter.started) == 1


def test_old_rows_are_no_load(game: Any, desk: Any) -> None:
    game.play(5, times=40)

    assert desk(trigger_load_rows=20).look() == "nothing new to learn from"


@pytest.fixture
def model(game: Any) -> None:
    """A model that learned from players who only look."""
    version = Path(game.settings().model_store_url) / "spend" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(json.dumps({"name": "spend", "version": "v1"}))
    Profile.of({"event_name": np.array(["screen_view"] * 100, object)}).write(version)


@pytest.mark.usefixtures("model")
def test_drift_from_what_the_model_learned_starts_one_run(game: Any, desk: Any, starter: Any) -> None:
    many: dict[str, int] = {"trigger_labels": 10 * LEAST_ROWS}
    game.play(LEAST_ROWS)
    assert desk(**many).look() == "nothing new to learn from"
    game.play(LEAST_ROWS, name="level_fail_quickplay")

    assert [desk(**many).look(), desk(**many).look()] == [STARTED, "spend-1 goes on"]
    assert len(starter.started) == 1


@pytest.mark.usefixtures("model")
def test_drift_is_looked_for_only_so_often(game: Any) -> None:
    rarely = DriftWatch(every_s=3600)
    store = game.settings().model_store_url
    with closing(open_warehouse(game.settings().warehouse_url)) as warehouse:
        game.play(LEAST_ROWS)
        before = rarely.moved(warehouse, store, psi=0.25)
        game.play(LEAST_ROWS, name="level_fail_quickplay")

        assert (before, rarely.moved(warehouse, store, psi=0.25)) == ("", "")
        assert DriftWatch(every_s=3600).moved(warehouse, store, psi=0.25).startswith("event_name moved")


def test_without_a_model_there_is_no_drift(game: Any) -> None:
    game.play(5)
    with closing(open_warehouse(game.settings().warehouse_url)) as warehouse:
        assert DriftWatch(every_s=0).moved(warehouse, game.settings().model_store_url, psi=0.0) == ""


def test_the_ledger_outlives_the_process(game: Any, starter: Any) -> None:
    game.play(5)
    with closing(Ledger(game.home / "l.db")) as ledger:
        Desk(game.settings(), ledger, starter, dict, DriftWatch(every_s=0)).alert(OPEN)
    starter.end()

    with closing(Ledger(game.home / "l.db")) as ledger:
        assert Desk(game.settings(), ledger, starter, dict, DriftWatch(every_s=0)).alert(OPEN) == "decided already"
        assert [(one.action, one.cause, one.decision) for one in ledger.latest(9)] == [
            ("spend", "alert on load", STARTED)
        ]
