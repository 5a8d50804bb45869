"""The SQL text of the running state, against events added up one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from questline_core.features.moments import sampled_moments, states_now
from questline_core.features.online import Moment, inputs_at, spend_inputs
from questline_core.features.refresh import refresh
from questline_core.features.state import STATE_FIELDS, PlayerState, Slot
from questline_core.features.store import open_reader, open_writer
from questline_core.pb.telemetry_pb2 import Device, Event, Geo, Param, ParamValue, UserPropertyValue
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse, open_warehouse
from questline_ingest.simulate import World, simulate

HOUR, MINUTE = DAY // 24, DAY // 1440


def state_of(warehouse: Warehouse, player: str = "anna") -> PlayerState:
    return dict(states_now(warehouse, [player]))[player]


def moments(warehouse: Warehouse) -> list[tuple[str, str, PlayerState | None, Moment]]:
    """Draw all moments, by player and time."""
    return sorted(sampled_moments(warehouse, until_micros=2**62), key=lambda one: (one[0], one[3].at_micros))


def play(warehouse: Warehouse, *names: str) -> PlayerState:
    """Let anna do these things, one a minute."""
    fill(warehouse, [an_event("anna", MONDAY + number * MINUTE, name) for number, name in enumerate(names)])
    return state_of(warehouse)


@pytest.fixture(scope="module")
def history() -> list[Event]:
    """Events of some generated players, each once and in the order that the state is defined by."""
    world = World(start=date(2025, 11, 3), days=8, players=60, seed=7)
    once = {event.event_id: event for event in simulate(world)}
    return sorted(once.values(), key=lambda event: (event.event_timestamp, event.event_id))


def number_of(event: Event, key: str) -> float | None:
    for param in event.event_params:
        if param.key == key:
            value = param.value
            return float(value.int_value) if value.HasField("int_value") else value.double_value
    return None


def with_slot(recent: tuple[Slot, ...], event: Event, spent: float | None) -> tuple[Slot, ...]:
    """Count the event in its slot of ten minutes, and drop what is seven days older."""
    now = event.event_timestamp // (10 * MINUTE)
    slots = {slot.slot: slot for slot in recent}
    old = slots.get(now, Slot(now, 0, 0, 0, 0.0))
    fails = event.event_name.startswith("level_fail")
    slots[now] = Slot(
        now, old.events + 1, old.fails + fails, old.spends + (spent is not None), old.spend_sum + (spent or 0)
    )
    return tuple(slots[number] for number in sorted(slots) if number > max(slots) - 7 * 144)


def add(state: PlayerState, event: Event, days: set[int]) -> PlayerState:
    """Add one event to the state before it: the definition of every field, by itself."""
    now, name = event.event_timestamp, event.event_name
    known: dict[str, Any] = {name: getattr(state, name) for name in STATE_FIELDS}
    days.add(now // DAY)
    starts, completes, fails = name == "session_start", name.startswith("level_complete"), name.startswith("level_fail")
    spent = number_of(event, "value") if name == "spend_virtual_currency" else None
    level = number_of(event, "level") if name.startswith("level_") else None
    known["events"] += 1
    known["sessions"] += starts
    known["active_days"] = len(days)
    known["engagement_ms"] += (number_of(event, "engagement_time_msec") or 0) if name == "user_engagement" else 0
    known["level_max"] = max((one for one in (state.level_max, level) if one is not None), default=None)
    known["levels_completed"] += completes
    known["levels_failed"] += fails
    known["levels_retried"] += name.startswith(("level_retry", "level_reset"))
    known["fails_in_row"] = 0 if completes else state.fails_in_row + fails
    known["session_events"] = 0 if starts else state.session_events + 1
    known["session_fails"] = 0 if starts else state.session_fails + fails
    known["out_of_steps"] += name == "no_more_extra_steps"
    known["extra_steps_used"] += name == "use_extra_steps"
    known["ad_rewards"] += name == "ad_reward"
    if spent is not None:
        known |= {"spends": state.spends + 1, "spend_sum": state.spend_sum + spent}
        known |= {"last_spend_value": spent, "last_spend_micros": now}
    known["first_touch_micros"] = min(state.first_touch_micros or math.inf, event.user_first_touch_timestamp)
    known["first_event_micros"] = state.first_event_micros or now
    known["last_event_micros"] = now
    known["last_session_micros"] = now if starts else state.last_session_micros
    system = event.device.operating_system
    known["country"] = event.geo.country or state.country
    known["language"] = event.device.language or state.language
    known["operating_system"] = state.operating_system if system in {"", "NaN"} else system
    known["recent"] = with_slot(state.recent, event, spent)
    if event.device.HasField("time_zone_offset_seconds"):
        known["time_zone_offset_seconds"] = event.device.time_zone_offset_seconds
    return PlayerState(**known)


def add_up(events: Iterable[Event]) -> PlayerState:
    state, days = PlayerState(), set[int]()
    for event in events:
        state = add(state, event, days)
    return state


def test_the_state_is_what_adding_up_events_one_by_one_gives(warehouse: Warehouse, history: list[Event]) -> None:
    fill(warehouse, reversed(history))
    players = {event.user_pseudo_id for event in history}

    states = dict(states_now(warehouse, None))

    assert sum(state.spends for state in states.values()) > 0
    assert states == {
        player: add_up(event for event in history if event.user_pseudo_id == player) for player in players
    }


def test_what_is_learned_from_is_what_is_served(warehouse: Warehouse, history: list[Event], tmp_path: Path) -> None:
    """For one sampled moment a player: a second warehouse knows only what was before it, and the gateway asks then."""
    fill(warehouse, history)
    drawn = {player: (event_id, state, moment) for player, event_id, state, moment in moments(warehouse)}
    by_id = {event.event_id: event for event in history}
    at = {player: (moment.at_micros, event_id) for player, (event_id, _, moment) in drawn.items()}
    before = [one for one in history if (one.event_timestamp, one.event_id) < at[one.user_pseudo_id]]

    then = open_warehouse(f"duckdb:{tmp_path / 'then'}")
    fill(then, before)
    with open_writer(tmp_path / "features") as store:
        refresh(then, store, None)
    then.close()

    assert len(drawn) == len({event.user_pseudo_id for event in history})
    assert sum(state is not None for _, state, _ in drawn.values()) > len(drawn) / 2
    with open_reader(tmp_path / "features") as store:
        for player, (event_id, state, moment) in drawn.items():
            served = spend_inputs(store.get(player), by_id[event_id])
            assert same(served, inputs_at(state, moment)), player


def same(one: dict[str, float | str], other: dict[str, float | str]) -> bool:
    return {key: str(value) for key, value in one.items()} == {key: str(value) for key, value in other.items()}


def test_one_moment_is_drawn_for_each_player_and_day(warehouse: Warehouse) -> None:
    fill(
        warehouse,
        [
            an_event(player, MONDAY + day * DAY + hour * HOUR)
            for player, days in {"anna": (0, 1, 4), "bert": (1,)}.items()
            for day in days
            for hour in range(24)
        ],
    )

    drawn = [(player, moment.at_micros // DAY - MONDAY // DAY) for player, _, _, moment in moments(warehouse)]
    hours = [moment.at_micros % DAY // HOUR for _, _, _, moment in moments(warehouse)]

    assert sorted(drawn) == [("anna", 0), ("anna", 1), ("anna", 4), ("bert", 1)]
    assert hours == [moment.at_micros % DAY // HOUR for _, _, _, moment in moments(warehouse)]
    assert len(set(hours)) > 1


def test_no_moment_is_later_than_asked(warehouse: Warehouse) -> None:
    fill(warehouse, [an_event("anna", MONDAY + day * DAY) for day in range(5)])

    drawn = [moment.at_micros for _, _, _, moment in sampled_moments(warehouse, until_micros=MONDAY + 2 * DAY)]

    assert sorted(drawn) == [MONDAY, MONDAY + DAY, MONDAY + 2 * DAY]


def test_a_players_first_event_has_no_state_before_it(warehouse: Warehouse) -> None:
    fill(warehouse, [an_event("anna", MONDAY), an_event("anna", MONDAY + DAY)])

    states = [state for _, _, state, _ in moments(warehouse)]

    assert states == [
        None,
        PlayerState(
            events=1,
            active_days=1,
            session_events=1,
            first_event_micros=MONDAY,
            last_event_micros=MONDAY,
            recent=(Slot(MONDAY // (10 * MINUTE), 1, 0, 0, 0.0),),
        ),
    ]


def test_fails_in_a_row_end_with_a_completed_level(warehouse: Warehouse) -> None:
    state = play(
        warehouse,
        "level_fail",
        "level_fail_quickplay",
        "level_complete_quickplay",
        "level_fail",
        "level_retry",
        "level_fail",
    )

    assert (state.levels_failed, state.fails_in_row, state.levels_completed, state.levels_retried) == (4, 2, 1, 1)


def test_a_session_counts_from_its_start(warehouse: Warehouse) -> None:
    state = play(warehouse, "session_start", "level_fail", "session_start", "level_fail", "level_fail", "screen_view")

    assert (state.sessions, state.session_events, state.session_fails, state.fails_in_row) == (2, 3, 2, 3)


def test_a_number_counts_in_whichever_slot_it_lies(warehouse: Warehouse) -> None:
    slots = (ParamValue(int_value=3), ParamValue(double_value=4.5), ParamValue(float_value=0.5))
    events = [an_event("anna", MONDAY + number * MINUTE, "spend_virtual_currency") for number in range(len(slots))]
    for event, slot in zip(events, slots, strict=True):
        event.event_params.append(Param(key="value", value=slot))
    fill(warehouse, events)

    state = state_of(warehouse)

    assert (state.spends, state.spend_sum, state.last_spend_value) == (3, 8.0, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -5.0, 0, 1e300])
def test_an_absurd_amount_is_no_spend(warehouse: Warehouse, value: float) -> None:
    fill(
        warehouse,
        [
            an_event("anna", MONDAY, "spend_virtual_currency", value=value),
            an_event("anna", MONDAY + 1, "user_engagement", engagement_time_msec=value),
            an_event("anna", MONDAY + 2, "level_up", level=value or -1.0),
        ],
    )

    state = state_of(warehouse)

    assert (state.events, state.spends, state.spend_sum, state.last_spend_micros) == (3, 0, 0, None)
    assert (state.engagement_ms, state.level_max) == (0, None)


def test_an_amount_without_a_value_is_no_spend(warehouse: Warehouse) -> None:
    assert play(warehouse, "spend_virtual_currency").spends == 0


def test_test_traffic_is_not_part_of_the_state(warehouse: Warehouse) -> None:
    of_a_test = an_event("anna", MONDAY, "spend_virtual_currency", value=5)
    of_a_test.is_test = True
    fill(warehouse, [of_a_test, an_event("anna", MONDAY + 1)])

    assert (state_of(warehouse).events, state_of(warehouse).spends) == (1, 0)


def test_what_was_told_last_is_known(warehouse: Warehouse) -> None:
    told = [an_event("anna", MONDAY + number) for number in range(4)]
    told[0].MergeFrom(Event(geo=Geo(country="Peru"), device=Device(operating_system="IOS", language="es")))
    told[1].MergeFrom(Event(geo=Geo(country="Chile"), device=Device(operating_system="NaN")))
    told[2].MergeFrom(Event(geo=Geo(country=""), device=Device(time_zone_offset_seconds=0)))
    fill(warehouse, told)

    state = state_of(warehouse)

    assert (state.country, state.language, state.operating_system) == ("Chile", "es", "IOS")
    assert state.time_zone_offset_seconds == 0


def test_only_the_players_asked_for_are_written(warehouse: Warehouse, tmp_path: Path) -> None:
    fill(warehouse, [an_event(player, MONDAY) for player in ("anna", "bert", "carl")])

    with open_writer(tmp_path / "features") as store:
        assert refresh(warehouse, store, ["anna", "nobody"]) == 1
        assert refresh(warehouse, store, []) == 0
        assert (store.get("bert"), store.get("nobody")) == (None, None)
        assert refresh(warehouse, store, None) == 3
        assert store.get("bert") == PlayerState(
            events=1,
            active_days=1,
            session_events=1,
            first_event_micros=MONDAY,
            last_event_micros=MONDAY,
            recent=(Slot(MONDAY // (10 * MINUTE), 1, 0, 0, 0.0),),
        )


def test_a_later_refresh_counts_the_events_that_came_late(warehouse: Warehouse, tmp_path: Path) -> None:
    with open_writer(tmp_path / "features") as store:
        fill(warehouse, [an_event("anna", MONDAY + DAY)])
        refresh(warehouse, store, ["anna"])
        fill(warehouse, [an_event("anna", MONDAY)])
        refresh(warehouse, store, ["anna"])

        state = store.get("anna")

    assert state is not None
    assert (state.events, state.active_days, state.first_event_micros) == (2, 2, MONDAY)


def test_a_bot_has_neither_state_nor_moments(warehouse: Warehouse) -> None:
    program = an_event("program", MONDAY)
    program.user_properties.add(key="bot", value=UserPropertyValue(string_value="true"))
    fill(warehouse, [an_event("anna", MONDAY), program])

    assert [player for player, _ in states_now(warehouse, None)] == ["anna"]
    assert [player for player, *_ in moments(warehouse)] == ["anna"]
