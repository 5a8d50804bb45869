"""What was served is compared with what an example of the same event holds."""

from __future__ import annotations

import math

from questline_core.features.moments import moments_at
from questline_core.features.online import inputs_at
from questline_core.monitoring.skew import skew
from questline_core.testing.answers import an_answer, fill_answers
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse

HISTORY = [an_event("ann", MONDAY + n * 1_000_000, "level_complete", level=n) for n in range(5)]
ASKED = [an_event(player, MONDAY + DAY + n) for n, player in enumerate(("ann", "ann", "bob"))]


def served_right(warehouse: Warehouse) -> dict[str, dict[str, float | str]]:
    events = {event.event_id: event.user_pseudo_id for event in ASKED}
    return {event_id: dict(inputs_at(state, at)) for _, event_id, state, at in moments_at(warehouse, events)}


def test_what_was_served_right_differs_nowhere(empty: Warehouse) -> None:
    fill(empty, [*HISTORY, *ASKED])
    inputs = served_right(empty)
    assert [inputs[event.event_id]["events"] for event in ASKED] == [5.0, 6.0, 0.0]

    fill_answers(empty, [an_answer(event, inputs=inputs[event.event_id]) for event in ASKED])
    found = skew(empty)

    assert (found.compared, found.unmatched, found.differing) == (3, 0, [])


def test_each_input_that_differs_is_told_with_its_share_and_its_worst_case(empty: Warehouse) -> None:
    fill(empty, [*HISTORY, *ASKED])
    inputs = served_right(empty)
    first, second, third = (event.event_id for event in ASKED)
    inputs[first]["events"] = 4.0  # the store was behind by one event, and then by three
    inputs[second]["events"] = 3.0
    inputs[second]["level_max"] = math.nan
    inputs[third]["country"] = "Chile"

    fill_answers(empty, [an_answer(event, inputs=inputs[event.event_id]) for event in ASKED])
    by_name = {one.name: one for one in skew(empty).differing}

    assert list(by_name) == ["events", "level_max", "country"]
    events = by_name["events"]
    assert (events.differs, events.largest, events.served, events.expected) == (2 / 3, 3.0, 3.0, 6.0)
    assert events.event_id == second
    assert (by_name["level_max"].largest, by_name["level_max"].expected) == (math.inf, 4.0)
    assert (by_name["country"].differs, by_name["country"].served) == (1 / 3, "Chile")


def test_answers_without_an_example_are_counted_and_tests_are_not(empty: Warehouse) -> None:
    fill(empty, [*HISTORY, *ASKED])
    inputs = served_right(empty)[ASKED[0].event_id]
    not_stored, test = an_event("cat", MONDAY), an_event("ann", MONDAY + 2 * DAY)

    fill_answers(
        empty,
        [
            an_answer(ASKED[0], inputs=inputs),
            an_answer(not_stored, inputs=inputs),
            an_answer(test, inputs=inputs, is_test=True),
            an_answer(ASKED[1]),  # the model was not asked
        ],
    )
    found = skew(empty)

    assert (found.compared, found.unmatched) == (1, 1)


def test_without_answers_nothing_is_compared(empty: Warehouse) -> None:
    assert skew(empty).compared == 0
    fill(empty, ASKED)
    fill_answers(empty, [])
    assert skew(empty).inputs == []
