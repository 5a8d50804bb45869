"""Day by day: parts of one world, late events, and what changes from a day on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import takewhile

import pytest

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate import Days, World, arrivals, simulate

WORLD = World(start=date(2026, 3, 2), players=150, days=8, seed=3, late_rate=0.2)
HOUR = 3_600_000_000
DRIFT = date(2026, 3, 9)
LARGER = World(start=date(2026, 3, 2), players=500, days=14, seed=3, resend_rate=0)


def spends(events: Iterable[Event]) -> list[float]:
    return [
        param.value.int_value or param.value.double_value
        for event in events
        if event.event_name == "spend_virtual_currency"
        for param in event.event_params
        if param.key == "value"
    ]


def changed(scenario: str) -> World:
    return replace(LARGER, scenario=scenario, scenario_from=DRIFT)


def properties(event: Event) -> dict[str, str]:
    return {prop.key: prop.value.string_value for prop in event.user_properties}


def test_days_one_by_one_make_up_the_whole() -> None:
    days = [WORLD.start + timedelta(days=number) for number in range(WORLD.days)]
    parts = [list(arrivals(WORLD, Days(day, day))) for day in days]

    assert [one for part in parts for one in part] == list(arrivals(WORLD))
    assert all(parts)


def test_after_the_last_day_the_same_players_go_on_and_new_ones_come() -> None:
    before = list(simulate(WORLD))
    after = list(simulate(WORLD, Days(date(2026, 3, 10), date(2026, 3, 12))))
    known = {event.user_pseudo_id for event in before}
    ids = {event.event_id for event in before}

    assert {event.user_pseudo_id for event in after} & known
    assert {event.user_pseudo_id for event in after} - known
    assert len({event.event_id for event in after} & ids) <= 0.01 * len(after), "only what is resent comes again"


def test_late_sittings_arrive_within_72_hours_and_tell_it_by_their_upload_offset() -> None:
    late = [
        (at - event.event_timestamp, event.event_server_timestamp_offset)
        for at, event in ((at, Event.FromString(data)) for at, data in arrivals(replace(WORLD, resend_rate=0)))
        if at != event.event_timestamp
    ]
    arrived = list(arrivals(replace(WORLD, resend_rate=0)))

    assert 0.05 < len(late) / len(arrived) < 0.3, "what would arrive after the end is not there"
    assert 48 * HOUR < max(delay for delay, _ in late) <= 72 * HOUR
    assert [at for at, _ in arrived] == sorted(at for at, _ in arrived)
    assert sum(offset > HOUR / 2 for _, offset in late) > 0.9 * len(late)


@pytest.mark.parametrize("scenario", ["new-level", "price-change", "bot-wave"])
def test_until_a_scenario_begins_nothing_changes(scenario: str) -> None:
    begin = LARGER.midnight(7)

    def until(world: World) -> list[tuple[int, bytes]]:
        return list(takewhile(lambda one: one[0] < begin - 12 * HOUR, arrivals(world)))

    assert until(changed(scenario)) == until(LARGER)
    assert list(arrivals(changed(scenario))) != list(arrivals(LARGER))


def test_dearer_steps_are_bought_less_often_and_cost_more() -> None:
    after = Days(date(2026, 3, 10), date(2026, 3, 24))
    usual, dear = spends(simulate(LARGER, after)), spends(simulate(changed("price-change"), after))

    assert len(dear) < 0.85 * len(usual)
    assert sum(dear) / len(dear) > 1.15 * sum(usual) / len(usual)


def test_new_levels_draw_players_back_to_levels_that_were_not_there() -> None:
    after = Days(date(2026, 3, 10), date(2026, 3, 13))
    usual, more = list(simulate(LARGER, after)), list(simulate(changed("new-level"), after))

    assert sum(e.event_name == "level_start" for e in more) > 1.5 * sum(e.event_name == "level_start" for e in usual)
    assert "40" in {properties(event).get("num_levels_available") for event in more}
    assert "40" not in {properties(event).get("num_levels_available") for event in usual}


def test_bots_come_from_the_day_on_are_known_by_their_property_and_never_spend() -> None:
    bots = [event for event in simulate(changed("bot-wave")) if properties(event).get("bot") == "true"]

    assert len({event.user_pseudo_id for event in bots}) == LARGER.players // 50
    assert min(event.event_date for event in bots) >= "20260309"
    assert not {"spend_virtual_currency", "user_engagement"} & {event.event_name for event in bots}
    assert not {bot.user_pseudo_id for bot in bots} & {event.user_pseudo_id for event in simulate(LARGER)}


def test_a_scenario_without_a_day_or_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(BadInput, match="--scenario-from"):
        replace(WORLD, scenario="bot-wave")
    with pytest.raises(BadInput, match="new-level, price-change, bot-wave"):
        replace(WORLD, scenario="flood", scenario_from=DRIFT)
