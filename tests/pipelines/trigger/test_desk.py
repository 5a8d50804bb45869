"""What starts a run, what does not, and that nothing starts two."""

from contextlib import closing
from typing import Any

import pytest

from questline_core.errors import NotReady
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.ledger import STARTED, Ledger
from questline_pipelines.trigger.messages import Incident

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


def test_drift_starts_one_run(game: Any, desk: Any, starter: Any) -> None:
    game.play(40, times=30)
    desk().look()
    starter.end()

    game.play(10, times=110)
    assert desk().look() == "nothing new to learn from"
    game.play(10, times=110, name="level_fail_quickplay")
    assert [desk().look(), desk().look()] == [STARTED, "spend-2 goes on"]
    assert len(starter.started) == 2


def test_the_ledger_outlives_the_process(game: Any, starter: Any) -> None:
    game.play(5)
    with closing(Ledger(game.home / "l.db")) as ledger:
        Desk(game.settings(), ledger, starter, dict).alert(OPEN)
    starter.end()

    with closing(Ledger(game.home / "l.db")) as ledger:
        assert Desk(game.settings(), ledger, starter, dict).alert(OPEN) == "decided already"
        assert [(one.action, one.cause, one.decision) for one in ledger.latest(9)] == [
            ("spend", "alert on load", STARTED)
        ]
