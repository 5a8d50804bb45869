"""When the time of an answer is over, it is held against what its player spent."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from questline_core.monitoring.answers import answers
from questline_core.monitoring.outcomes import PRIOR, Outcomes, outcomes
from questline_core.pb.broker_pb2 import Served
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.answers import an_answer, fill_answers
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse

HOUR = DAY // 24


def spend(player: str, at_micros: int, value: int) -> Event:
    return an_event(player, at_micros, "spend_virtual_currency", value=value)


def found(warehouse: Warehouse, store: Path, *, now: int = MONDAY + 2 * DAY) -> Outcomes:
    return outcomes(warehouse, answers(warehouse, since_micros=0), now_micros=now, model_store=str(store))


def test_interval_probability_and_total_are_judged_by_revision(empty: Warehouse, tmp_path: Path) -> None:
    asked = [an_event(player, MONDAY) for player in ("ann", "bob", "cat", "dan")]
    later = [spend("ann", MONDAY + HOUR, 3), spend("bob", MONDAY + HOUR, 9), spend("cat", MONDAY + 25 * HOUR, 100)]
    fill(empty, [*asked, *later])
    fill_answers(
        empty,
        [
            *(an_answer(event) for event in asked[:3]),  # 2 between 0 and 4, half a chance
            an_answer(asked[3], revision="v2", value=0.0, probability=0.0),
        ],
    )

    first, second = found(empty, tmp_path).by_revision

    assert (first.revision, first.answers, first.spenders) == ("v1", 3, 2)
    assert (first.expected, first.actual, first.total_error) == (6.0, 12.0, -0.5)
    assert first.coverage == pytest.approx(2 / 3)  # 9 is outside of 0 to 4
    assert first.coverage_of_spenders == 0.5
    assert first.brier == pytest.approx(0.25)
    assert first.log_loss == pytest.approx(math.log(2))
    assert sum(tenth.actual * tenth.rows for tenth in first.calibration) == pytest.approx(2)
    assert (second.revision, second.spenders, second.brier) == ("v2", 0, 0)
    assert math.isnan(second.total_error)
    assert math.isnan(second.coverage_of_spenders)


def test_an_answer_waits_until_its_time_is_over(empty: Warehouse, tmp_path: Path) -> None:
    early, late = an_event("ann", MONDAY), an_event("ann", MONDAY + 30 * HOUR)
    fill(empty, [early, late])
    fill_answers(empty, [an_answer(early), an_answer(late)])

    at_two_days = found(empty, tmp_path)

    assert (at_two_days.waiting, at_two_days.by_revision[0].answers) == (1, 1)


def test_the_newest_model_says_how_far_ahead_it_predicts(empty: Warehouse, tmp_path: Path) -> None:
    version = tmp_path / "spend" / "v1"
    version.mkdir(parents=True)
    told = {"name": "spend", "version": "v1", "lineage": {"horizon_hours": 72}}
    (version / "model.json").write_text(json.dumps(told))
    event = an_event("ann", MONDAY)
    fill(empty, [event])
    fill_answers(empty, [an_answer(event)])

    judged = found(empty, tmp_path)

    assert (judged.horizon_hours, judged.waiting, judged.by_revision) == (72, 1, [])


def test_priors_are_a_revision_of_their_own_and_tests_and_churn_are_left_out(empty: Warehouse, tmp_path: Path) -> None:
    events = [an_event(f"p{number}", MONDAY) for number in range(3)]
    fill(empty, events)
    prior = an_answer(events[0], revision="", source="DEFAULT", reason="timeout")
    test: Served = an_answer(events[1], is_test=True)
    fill_answers(empty, [prior, test, an_answer(events[2], model="churn")])

    (only,) = found(empty, tmp_path).by_revision

    assert (only.revision, only.answers) == (PRIOR, 1)


def test_one_answer_a_player_and_day_is_drawn(empty: Warehouse) -> None:
    events = [an_event("ann", MONDAY + number) for number in range(20)]
    events += [an_event("ann", MONDAY + DAY), an_event("bob", MONDAY)]
    fill(empty, events)
    fill_answers(empty, map(an_answer, events))

    given = answers(empty, since_micros=0)

    assert given is not None
    assert (len(given), given.drawn.sum()) == (22, 3)


def test_without_answers_there_is_nothing_to_judge(empty: Warehouse, tmp_path: Path) -> None:
    assert answers(empty, since_micros=0) is None
    assert found(empty, tmp_path).by_revision == ()
