"""Who returned, who left, and of whom that cannot be said: each rule of the churn SQL on a few events."""

from __future__ import annotations

from typing import Any

import pytest

from questline_core.churn import original
from questline_core.churn.tables import FEATURES, HOUR, Players, Rules, Split, by_time, prepare, split
from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse

MINUTE = HOUR // 60
RULES = Rules(grace_hours=48, warmup_hours=24)
START = MONDAY + 10 * DAY
"""When the players of the tests come: long after the table's start and long before its end."""
SPAN = [an_event("old", MONDAY), an_event("late", MONDAY + 40 * DAY)]


def engaged(player: str, *at_micros: int, **fields: Any) -> list[Event]:
    """Let a player open the game for the first time and be engaged at these times."""
    events = [an_event(player, at_micros[0] - 1, "first_open")]
    events += [an_event(player, at, "user_engagement") for at in at_micros]
    for event in events:
        event.user_first_touch_timestamp = fields.get("first_touch", at_micros[0] - 1)
    return events


def players(warehouse: Warehouse, *events: Event, rules: Rules = RULES) -> dict[str, dict[str, Any]]:
    fill(warehouse, [*SPAN, *events])
    prepare(warehouse, rules)
    return {row["user_pseudo_id"]: row for row in warehouse.query("SELECT * FROM churn.players").to_pylist()}


@pytest.mark.parametrize(
    ("last", "churned"),
    [(DAY - 1, 1), (DAY, 0), (DAY + 1, 0), (5 * DAY, 0), (30 * MINUTE, 1)],
)
def test_a_player_left_who_is_not_engaged_once_the_first_24_hours_are_over(
    warehouse: Warehouse, last: int, churned: int
) -> None:
    assert players(warehouse, *engaged("ann", START, START + last))["ann"]["churned"] == churned


def test_other_events_are_no_return(warehouse: Warehouse) -> None:
    events = [*engaged("ann", START), an_event("ann", START + 3 * DAY, "app_remove")]

    assert players(warehouse, *events)["ann"]["churned"] == 1


@pytest.mark.parametrize(("minutes", "bounced"), [(0, 1), (10, 1), (10.001, 0), (60, 0)])
def test_a_player_bounced_who_is_not_engaged_after_ten_minutes(
    warehouse: Warehouse, minutes: float, bounced: int
) -> None:
    found = players(warehouse, *engaged("ann", START, START + int(minutes * MINUTE)))

    assert found["ann"]["bounced"] == bounced


def test_a_bounce_is_decided_within_the_first_24_hours_and_not_by_a_later_return(warehouse: Warehouse) -> None:
    found = players(warehouse, *engaged("ann", START, START + 3 * DAY))

    assert (found["ann"]["bounced"], found["ann"]["churned"]) == (1, 0)


@pytest.mark.parametrize(("before_due", "labelled"), [(0, True), (1, False), (2 * DAY, False), (3 * DAY, False)])
def test_a_label_is_due_when_the_24_hours_and_the_grace_are_over(
    warehouse: Warehouse, before_due: int, labelled: bool
) -> None:
    came = MONDAY + 40 * DAY - (DAY + 48 * HOUR) + before_due

    assert (players(warehouse, *engaged("ann", came))["ann"]["churned"] is not None) is labelled


@pytest.mark.parametrize(
    ("first_touch", "truncated"), [(MONDAY - 1, True), (MONDAY, False), (START, False), (0, False)]
)
def test_a_player_whose_first_touch_lies_before_the_table_is_not_labelled(
    warehouse: Warehouse, first_touch: int, truncated: bool
) -> None:
    found = players(warehouse, *engaged("ann", START, first_touch=first_touch))

    assert (found["ann"]["is_truncated"], found["ann"]["churned"]) == (truncated, None if truncated else 1)


@pytest.mark.parametrize(("after_start", "truncated"), [(DAY - 1, True), (DAY, False)])
def test_without_first_touch_and_first_open_a_player_seen_at_the_tables_start_may_be_an_old_one(
    warehouse: Warehouse, after_start: int, truncated: bool
) -> None:
    found = players(warehouse, an_event("ann", MONDAY + after_start, "user_engagement"))

    assert found["ann"]["is_truncated"] is truncated


def _from(event: Event, country: str, language: str, system: str) -> Event:
    event.geo.country, event.device.language, event.device.operating_system = country, language, system
    return event


def test_demographics_are_the_first_that_are_known(warehouse: Warehouse) -> None:
    opened, *rest = engaged("ann", START, START + HOUR, START + 2 * HOUR)
    events = [
        opened,
        _from(rest[0], "", "en-us", "NaN"),
        _from(rest[1], "Italy", "it-it", "IOS"),
        _from(rest[2], "Spain", "es-es", "ANDROID"),
    ]

    ann = players(warehouse, *events)["ann"]

    assert (ann["country"], ann["language"], ann["operating_system"]) == ("Italy", "en-us", "IOS")


def test_what_is_known_only_after_the_first_day_is_not_known(warehouse: Warehouse) -> None:
    events = engaged("ann", START, START + DAY)
    _from(events[-1], "Spain", "es-es", "ANDROID")

    ann = players(warehouse, *events)["ann"]

    assert (ann["country"], ann["language"], ann["operating_system"]) == (None, None, None)


def test_behaviour_ends_with_the_first_24_hours(warehouse: Warehouse) -> None:
    scores = [an_event("ann", START + at, "post_score") for at in (5, HOUR, DAY - 1, DAY, 2 * DAY)]

    ann = players(warehouse, *engaged("ann", START, START + HOUR), *scores)["ann"]

    assert (ann["cnt_post_score"], ann["cnt_user_engagement"], ann["cnt_ad_reward"]) == (3, 2, 0)


def test_test_traffic_is_left_out(warehouse: Warehouse) -> None:
    again = an_event("ann", START + 2 * DAY, "user_engagement")
    again.is_test = True

    assert players(warehouse, *engaged("ann", START), again)["ann"]["churned"] == 1


def test_an_event_with_a_clock_far_ahead_does_not_make_labels_due(warehouse: Warehouse) -> None:
    ahead = an_event("bob", MONDAY + 900 * DAY)
    ahead.received_time = MONDAY + 30 * DAY

    assert players(warehouse, *engaged("ann", MONDAY + 39 * DAY), ahead)["ann"]["churned"] is None


def test_players_who_were_never_engaged_are_there_without_a_label(warehouse: Warehouse) -> None:
    found = players(warehouse, an_event("ann", START, "first_open"))

    assert (found["ann"]["first_micros"], found["ann"]["churned"]) == (None, None)


@pytest.mark.parametrize("made", [False, True], ids=["no table", "an empty one"])
def test_without_events_there_is_one_sentence(warehouse: Warehouse, made: bool) -> None:
    if made:
        fill(warehouse, [])

    with pytest.raises(NotReady, match="questline simulate"):
        prepare(warehouse, RULES)


def _many() -> list[Event]:
    """Forty players in forty days who are engaged for an hour; each second one comes back."""
    return [
        event
        for day in range(1, 37)
        for event in engaged(
            f"p{day}",
            MONDAY + day * DAY,
            MONDAY + day * DAY + HOUR,
            *([MONDAY + (day + 2) * DAY] if day % 2 else []),
        )
    ]


def _rows(warehouse: Warehouse, table: str) -> list[dict[str, Any]]:
    return warehouse.query(f"SELECT * FROM {table}").to_pylist()  # noqa: S608 - the tests' own names


def test_the_rows_hold_the_features_and_the_label_and_no_id_or_calendar(warehouse: Warehouse) -> None:
    players(warehouse, *_many())
    split(warehouse, Split(by_time=False))

    assert tuple(_rows(warehouse, "churn.training")[0]) == (*FEATURES, "churned")


def test_the_split_by_a_hash_leaves_no_row_out_and_uses_none_twice(warehouse: Warehouse) -> None:
    import farmhash

    players(warehouse, *_many())
    split(warehouse, Split(by_time=False))

    held_out = {row["user_pseudo_id"]: row["fold"] for row in _rows(warehouse, "churn.held_out")}
    folds = {f"p{day}": abs(_signed(farmhash.fingerprint64(f"p{day}"))) % 10 for day in range(1, 37)}
    assert held_out == {player: fold for player, fold in folds.items() if fold >= 8}
    assert len(_rows(warehouse, "churn.training")) == 36 - len(held_out)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def test_the_split_by_time_learns_only_from_labels_that_were_known_before_the_judged_players_came(
    warehouse: Warehouse,
) -> None:
    rules = Rules(grace_hours=48, warmup_hours=24, holdout_days=14)
    fill(warehouse, [*SPAN, *_many()])
    found = prepare(warehouse, rules)
    chosen = by_time(found, rules)
    split(warehouse, chosen)

    held_out = {row["user_pseudo_id"] for row in _rows(warehouse, "churn.held_out")}
    judged_from_day = (chosen.judged_after_micros - MONDAY) // DAY + 1
    assert held_out == {f"p{day}" for day in range(judged_from_day, 37)}
    assert len(_rows(warehouse, "churn.training")) == judged_from_day - 1 - 3


def test_counts_tell_what_the_table_holds(warehouse: Warehouse) -> None:
    events = [
        *engaged("left", START, START + HOUR),
        *engaged("bounced", START),
        *engaged("stayed", START, START + HOUR, START + DAY),
    ]
    fill(warehouse, [*SPAN, *events])

    assert prepare(warehouse, RULES) == Players(
        players=5, labelled=3, bounced=1, churned=1, start_micros=MONDAY, as_of_micros=MONDAY + 40 * DAY
    )


def test_rows_of_one_kind_only_are_refused(warehouse: Warehouse) -> None:
    players(warehouse, *engaged("ann", START, START + HOUR))

    with pytest.raises(NotReady, match="both kinds"):
        split(warehouse, Split(by_time=False))


def test_the_original_takes_the_latest_demographics_the_last_bounce_and_the_calendar(warehouse: Warehouse) -> None:
    events = engaged("ann", START, START + HOUR, START + 3 * DAY)
    _from(events[1], "Italy", "it-it", "IOS")
    _from(events[-1], "Spain", "es-es", "ANDROID")
    fill(warehouse, [*events, an_event("ann", START + DAY, "post_score"), *engaged("bob", START, START + 10 * MINUTE)])

    original.players_from_events(warehouse)

    found = {row["user_pseudo_id"]: row for row in _rows(warehouse, "churn.original_players")}
    ann, bob = found["ann"], found["bob"]
    assert (ann["country"], ann["language"], ann["operating_system"]) == ("Spain", "es-es", "ANDROID")
    assert (ann["bounced"], ann["churned"], bob["bounced"], bob["churned"]) == (0, 0, 1, 1)
    assert ann["cnt_post_score"] == 1  # the moment at which the first day is over counts to it
    assert (ann["month"], ann["julianday"], ann["dayofweek"]) == (11, 317, 5)  # Thursday, 13 November 2025
    assert ann["user_first_engagement"] == START
