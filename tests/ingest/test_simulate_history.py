from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date
from hashlib import sha256
from itertools import islice

import pytest

from questline_core.errors import BadInput
from questline_core.events.checks import check
from questline_core.pb.telemetry_pb2 import Event, Param
from questline_ingest.simulate import World, simulate

WORLD = World(start=date(2026, 3, 2), players=150, days=14, seed=3)


@pytest.fixture(scope="module")
def history() -> list[Event]:
    return list(simulate(WORLD))


@pytest.fixture(scope="module")
def first_copies(history: list[Event]) -> list[Event]:
    firsts: dict[str, Event] = {}
    for event in history:
        firsts.setdefault(event.event_id, event)
    return list(firsts.values())


def digest(world: World) -> str:
    total = sha256()
    for event in islice(simulate(world), 5_000):
        total.update(event.SerializeToString(deterministic=True))
    return total.hexdigest()


def params(event: Event) -> dict[str, Param]:
    return {param.key: param for param in event.event_params}


def test_the_same_world_gives_the_same_bytes() -> None:
    assert digest(WORLD) == digest(replace(WORLD))


@pytest.mark.parametrize(
    "other",
    [
        replace(WORLD, seed=4),
        replace(WORLD, start=date(2026, 3, 3)),
        replace(WORLD, title="other"),
        replace(WORLD, days=15),
    ],
    ids=["seed", "start", "title", "days"],
)
def test_another_world_shares_no_player_and_no_event_id(history: list[Event], other: World) -> None:
    others = list(islice(simulate(other), 3_000))

    assert not {event.event_id for event in history} & {event.event_id for event in others}
    assert not {event.user_pseudo_id for event in history} & {event.user_pseudo_id for event in others}


def test_events_come_in_order_of_time_and_a_resent_one_after_its_first_copy() -> None:
    seen: dict[str, int] = {}
    latest = 0
    for event in simulate(WORLD):
        if event.event_id in seen:
            assert latest >= seen[event.event_id]
            continue
        assert event.event_timestamp >= latest
        latest = seen[event.event_id] = event.event_timestamp


def test_every_event_keeps_the_contract_and_says_that_it_is_generated(history: list[Event]) -> None:
    assert [problem for event in history if (problem := check(event))] == []
    assert {event.origin for event in history} == {"generated"}
    assert {event.title for event in history} == {"flood"}
    assert not any(event.HasField("is_test") for event in history), "generated events are there to be learned from"


def test_a_resent_event_has_the_id_and_the_bytes_of_the_first(history: list[Event]) -> None:
    copies: dict[str, set[bytes]] = {}
    for event in history:
        copies.setdefault(event.event_id, set()).add(event.SerializeToString(deterministic=True))
    twice = [event_id for event_id, number in Counter(event.event_id for event in history).items() if number == 2]

    assert len(twice) == len(history) - len(copies)
    assert 0.007 < len(twice) / len(copies) < 0.013
    assert all(len(copies[event_id]) == 1 for event_id in twice)


def test_resends_and_broken_events_change_nothing_of_the_others(first_copies: list[Event]) -> None:
    plain = list(simulate(replace(WORLD, resend_rate=0)))
    mixed = [e for e in simulate(replace(WORLD, invalid_rate=0.05, resend_rate=0)) if check(e) is None]

    assert plain == first_copies
    assert mixed == plain


def test_broken_events_break_the_contract_in_several_ways_and_have_ids_of_their_own() -> None:
    history = list(simulate(replace(WORLD, invalid_rate=0.02, resend_rate=0)))
    problems = [(event, problem) for event in history if (problem := check(event))]

    assert 0.015 < len(problems) / len(history) < 0.025
    assert {(problem.reason, problem.field) for _, problem in problems} == {
        ("missing", "event_name"),
        ("missing", "user_pseudo_id"),
        ("too_long", "event_name"),
        ("out_of_range", "event_timestamp"),
        ("malformed", "event_date"),
    }
    assert len({event.event_id for event in history}) == len(history)


def test_all_players_are_seen_within_the_days_and_before_their_end(first_copies: list[Event]) -> None:
    dates = {event.event_date for event in first_copies}

    assert len({event.user_pseudo_id for event in first_copies}) == WORLD.players
    assert (min(dates), max(dates), len(dates)) == ("20260302", "20260315", 14)
    assert max(event.event_timestamp for event in first_copies) < 1_773_619_200_000_000  # 2026-03-16T00:00:00Z


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (1_772_524_799_000_000, "20260302"),  # 2026-03-02T23:59:59-08:00
        (1_772_524_800_000_000, "20260303"),
        (1_773_035_999_000_000, "20260308"),  # 2026-03-08T23:59:59-07:00: clocks went forward on this day
        (1_773_039_599_000_000, "20260308"),
        (1_773_039_600_000_000, "20260309"),
    ],
)
def test_the_day_of_an_event_is_the_one_of_the_propertys_time_zone(moment: int, day: str) -> None:
    assert WORLD.date_text(WORLD.day_of(moment)) == day


def test_the_date_of_every_event_is_the_day_of_its_time(first_copies: list[Event]) -> None:
    for event in first_copies:
        assert event.event_date == WORLD.date_text(WORLD.day_of(event.event_timestamp))


def test_the_previous_time_is_that_of_the_players_last_event_of_the_name(first_copies: list[Event]) -> None:
    last: dict[tuple[str, str], int] = {}
    for event in first_copies:
        key = (event.user_pseudo_id, event.event_name)
        if key in last:
            assert event.event_previous_timestamp == last[key] < event.event_timestamp
        last[key] = event.event_timestamp


def test_a_player_plays_one_sitting_at_a_time(first_copies: list[Event]) -> None:
    ended: dict[str, set[str]] = {}
    current: dict[str, str] = {}
    for event in first_copies:
        before = current.get(event.user_pseudo_id)
        if before not in (None, event.session_id):
            ended.setdefault(event.user_pseudo_id, set()).add(str(before))
        current[event.user_pseudo_id] = event.session_id
        assert event.session_id not in ended.get(event.user_pseudo_id, ())


def test_spends_have_whole_values_from_1_to_20_in_either_slot_and_are_used(first_copies: list[Event]) -> None:
    spends = [params(event) for event in first_copies if event.event_name == "spend_virtual_currency"]
    slots = Counter[str | None]()
    for spend in spends:
        value = spend["value"].value
        [(slot, amount)] = [(field.name, amount) for field, amount in value.ListFields()]
        slots[slot] += 1
        assert amount in range(1, 21)
        assert spend["virtual_currency_name"].value.string_value == "steps"

    assert set(slots) == {"int_value", "double_value"}
    assert 0.85 <= sum(e.event_name == "use_extra_steps" for e in first_copies) / len(spends) <= 1


def test_every_param_has_exactly_one_slot_and_screen_ids_use_all_64_bits(first_copies: list[Event]) -> None:
    ids = []
    for event in first_copies:
        for param in event.event_params:
            assert len(param.value.ListFields()) == 1, (event.event_name, param)
            if param.key == "firebase_screen_id" and param.value.HasField("int_value"):
                ids.append(param.value.int_value)

    assert min(ids) < -(2**62)
    assert max(ids) > 2**62


def test_events_carry_the_params_that_real_ones_of_their_name_carry(
    first_copies: list[Event], pytestconfig: pytest.Config
) -> None:
    real = pytestconfig.rootpath.parent / "shared/data/flood_it_events/events.ndjson"
    if not real.exists():
        pytest.skip("needs the real rows in ../shared/data")
    rows = [json.loads(line) for line in real.read_text(encoding="utf-8").splitlines()]
    keys: dict[str, set[str]] = {}
    for row in rows:
        keys.setdefault(row["event_name"], set()).update(param["key"] for param in row["event_params"])
    properties = {prop["key"] for row in rows for prop in row["user_properties"]}

    screen = {"firebase_screen_class", "firebase_screen_id"}  # on any event, where the few real rows happen to lack it
    for event in first_copies:
        assert set(params(event)) - screen <= keys.get(event.event_name, set(params(event))), event.event_name
        assert {prop.key for prop in event.user_properties} <= properties


def test_a_newcomer_opens_first_and_was_never_there_before(first_copies: list[Event]) -> None:
    starts: dict[str, Event] = {}
    for event in first_copies:
        starts.setdefault(event.user_pseudo_id, event)
    newcomers = {event.user_pseudo_id for event in first_copies if event.event_name == "first_open"}

    assert 0.15 < len(newcomers) / WORLD.players < 0.45
    for player, event in starts.items():
        assert (event.event_name == "first_open") == (player in newcomers)
        assert (event.event_timestamp - event.user_first_touch_timestamp < 1_000_000) == (player in newcomers)


def test_traps_of_the_real_rows_are_there() -> None:
    one_day = World(start=date(2026, 3, 2), players=1_500, days=1, seed=1, resend_rate=0)
    firsts: dict[str, Event] = {}
    for event in simulate(one_day):
        firsts.setdefault(event.user_pseudo_id, event)
    systems = Counter(event.device.operating_system for event in firsts.values())

    assert set(systems) == {"ANDROID", "IOS", "NaN", ""}
    assert 0.03 < (systems["NaN"] + systems[""]) / one_day.players < 0.07
    assert max(abs(event.event_server_timestamp_offset) for event in firsts.values()) > 100 * 86_400_000_000
    assert "Côte d’Ivoire" in {event.geo.country for event in firsts.values()}  # noqa: RUF001 - its real spelling


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("players", 0, "players is 0"),
        ("days", -1, "days is -1"),
        ("resend_rate", 1.5, "resend-rate is 1.5"),
        ("invalid_rate", float("nan"), "invalid-rate is nan"),
        ("title", "", "title ''"),
        ("title", "a\nb", "printable"),
        ("days", 10**9, "1000000000 days"),
        ("start", date(1970, 1, 1), "1970-01-01"),
    ],
)
def test_a_world_that_cannot_be_says_which_option_to_change(option: str, value: object, named: str) -> None:
    options: dict[str, object] = {"start": date(2026, 3, 2), option: value}
    with pytest.raises(BadInput, match=named):
        World(**options)  # type: ignore[arg-type]
