"""Fix files: what a rule mends, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from questline_core.errors import BadInput
from questline_core.events.checks import Reason, check
from questline_core.pb.telemetry_pb2 import Event
from questline_core.rejects.fixes import mend, read_fixes
from questline_core.rejects.reasons import REASONS

MICROS = 1_800_000_000_000_000


def an_event(**fields: Any) -> Event:
    given: dict[str, Any] = {
        "event_id": "e",
        "event_name": "n",
        "user_pseudo_id": "p",
        "event_timestamp": MICROS,
    } | fields
    return Event(**{name: value for name, value in given.items() if value is not None})


def rules(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "fixes.yaml"
    path.write_text(text)
    return read_fixes(path)


@pytest.mark.parametrize(
    ("broken", "rule", "expected"),
    [
        (
            {"event_name": None},
            "{reason: missing, field: event_name, set: {event_name: unknown}}",
            {"event_name": "unknown"},
        ),
        ({"event_id": None}, '{reason: missing, field: event_id, set: {event_id: "@message_id"}}', {"event_id": "m1"}),
        (
            {"event_timestamp": MICROS // 1_000_000},
            "{reason: out_of_range, multiply: {event_timestamp: 1000000}}",
            {"event_timestamp": MICROS},
        ),
        (
            {"event_timestamp": MICROS * 1000},
            "{reason: out_of_range, divide: {event_timestamp: 1000}}",
            {"event_timestamp": MICROS},
        ),
        ({"event_name": "x" * 500}, '{reason: too_long, clip: {"@field": 128}}', {"event_name": "x" * 128}),
        (
            {"event_date": "2018-06-12"},
            "{reason: malformed, field: event_date, drop: [event_date]}",
            {"event_date": ""},
        ),
        (
            {"user_pseudo_id": None, "user_id": "u7"},
            "{reason: missing, field: user_pseudo_id, rename: {user_id: user_pseudo_id}}",
            {"user_pseudo_id": "u7", "user_id": ""},
        ),
    ],
)
def test_a_rule_mends_its_problem_and_touches_nothing_else(
    tmp_path: Path, broken: dict[str, Any], rule: str, expected: dict[str, Any]
) -> None:
    event = an_event(**broken)
    untouched = an_event(**broken)

    assert mend(event, rules(tmp_path, f"- {rule}"), message_id="m1") is None

    assert {name: getattr(event, name) for name in expected} == expected
    for name in expected:
        event.ClearField(name)  # type: ignore[arg-type]
        untouched.ClearField(name)  # type: ignore[arg-type]
    assert event == untouched


def test_every_entry_that_breaks_the_contract_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    event = an_event()
    for key in ("level", "", "score", ""):
        event.event_params.add(key=key)

    dropping = rules(tmp_path, '- {reason: missing, field: "event_params[*].key", drop: ["@entry"]}')

    assert mend(event, dropping, message_id="m") is None
    assert [param.key for param in event.event_params] == ["level", "score"]


def test_a_list_that_is_too_long_is_cut(tmp_path: Path) -> None:
    event = an_event()
    for number in range(300):
        event.event_params.add(key=f"k{number}")

    assert mend(event, rules(tmp_path, '- {reason: too_many, clip: {"@field": 256}}'), message_id="m") is None
    assert len(event.event_params) == 256


def test_problems_are_mended_one_after_the_other_and_what_no_rule_mends_is_told(tmp_path: Path) -> None:
    event = an_event(event_name=None, event_timestamp=5)

    problem = mend(event, rules(tmp_path, "- {reason: missing, set: {event_name: x}}"), message_id="m")

    assert problem == check(event)
    assert problem is not None
    assert (problem.reason, problem.field) == ("out_of_range", "event_timestamp")


def test_a_rule_that_changes_nothing_ends_and_is_told(tmp_path: Path) -> None:
    problem = mend(
        an_event(event_name=None), rules(tmp_path, "- {reason: missing, set: {geo.city: x}}"), message_id="m"
    )

    assert problem is not None
    assert problem.field == "event_name"


@pytest.mark.parametrize("factor", [1 / 1_000_000, 1 / 1000, 1000])
def test_a_rule_whose_product_is_too_large_leaves_the_event_to_the_next(tmp_path: Path, factor: float) -> None:
    event = an_event(event_timestamp=int(MICROS * factor))
    times = "{reason: out_of_range, %s: {event_timestamp: 1000}}"

    assert mend(event, rules(tmp_path, f"- {times % 'multiply'}\n- {times % 'divide'}"), message_id="m") is None
    assert event.event_timestamp == MICROS


def test_an_event_that_no_rule_mends_is_as_it_was(tmp_path: Path) -> None:
    event = an_event(event_timestamp=MICROS * 1000)
    spoiling = "- {reason: out_of_range, set: {event_name: spoilt}, multiply: {event_timestamp: 1000000}}"

    problem = mend(event, rules(tmp_path, spoiling), message_id="m")

    assert problem is not None
    assert (event.event_name, event.event_timestamp) == ("n", MICROS * 1000)


def test_a_rule_for_one_title_leaves_others_alone(tmp_path: Path) -> None:
    for_quest = rules(tmp_path, "- {reason: missing, title: quest, set: {event_name: x}}")

    assert mend(an_event(title="quest", event_name=None), for_quest, message_id="m") is None
    assert mend(an_event(title="other", event_name=None), for_quest, message_id="m") is not None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {reason: missing, sett: {event_name: x}}", "entry 0.sett"),
        ("- {reason: mising, set: {event_name: x}}", "entry 0.reason: .*'missing'"),
        ("reason: missing", "the file: .*list"),
        ("- {reason: out_of_range, divide: {event_timestamp: 0}}", "entry 0.divide.event_timestamp"),
        ("- [", "cannot read"),
    ],
)
def test_a_file_that_is_no_list_of_rules_is_refused_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        rules(tmp_path, text)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("{reason: missing, set: {evnt_name: x}}", "evnt_name"),
        ("{reason: missing, set: {event_name: 5}}", "event_name"),
        ("{reason: missing, set: {event_name.deep: x}}", "has no fields"),
    ],
)
def test_a_path_or_value_that_does_not_fit_is_told(tmp_path: Path, rule: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        mend(an_event(event_name=None), rules(tmp_path, f"- {rule}"), message_id="m")


@pytest.mark.parametrize("reason", [name for name, told in REASONS.items() if told.rule])
def test_the_rules_that_are_shown_to_people_are_rules(tmp_path: Path, reason: str) -> None:
    assert {rule.reason for rule in rules(tmp_path, REASONS[reason].rule)} == {reason}


def test_every_reason_is_explained() -> None:
    assert set(REASONS) == set(get_args(Reason))
