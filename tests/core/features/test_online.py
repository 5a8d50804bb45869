"""The inputs that are made of a state and an event."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from questline_core.features.online import NUMBERS, TEXTS, base_language, missing_inputs, spend_inputs
from questline_core.features.state import SLOT_MICROS, PlayerState, Slot
from questline_core.pb.telemetry_pb2 import Device, Event, Geo
from questline_core.testing.event_tables import DAY, MONDAY

HOUR = DAY // 24
ANNA = PlayerState(
    events=40,
    sessions=3,
    engagement_ms=90_000.0,
    level_max=12.0,
    fails_in_row=2,
    spends=2,
    spend_sum=7.0,
    last_spend_value=5.0,
    first_touch_micros=MONDAY - 10 * DAY,
    first_event_micros=MONDAY - 9 * DAY,
    last_event_micros=MONDAY - HOUR,
    last_session_micros=MONDAY - 2 * HOUR,
    last_spend_micros=MONDAY - 3 * DAY,
    country="Japan",
    language="ja-jp",
    operating_system="IOS",
    time_zone_offset_seconds=9 * 3600,
)


def an_event_at(at_micros: int = MONDAY, **fields: object) -> Event:
    return Event(event_name="level_fail", event_timestamp=at_micros, **fields)  # type: ignore[arg-type]


def test_every_input_is_given_always() -> None:
    assert set(spend_inputs(None, Event())) == set(NUMBERS) | set(TEXTS) == set(missing_inputs())


def test_spans_are_counted_from_the_event() -> None:
    inputs = spend_inputs(ANNA, an_event_at())

    assert inputs["days_since_install"] == 10
    assert inputs["hours_since_last_event"] == 1
    assert inputs["hours_since_session_start"] == 2
    assert inputs["days_since_last_spend"] == 3
    assert inputs["local_hour"] == 9


def test_counts_and_amounts_come_from_the_state() -> None:
    inputs = spend_inputs(ANNA, an_event_at())

    assert (inputs["events"], inputs["sessions"], inputs["fails_in_row"]) == (40, 3, 2)
    assert (inputs["spends"], inputs["spend_sum"], inputs["last_spend_value"]) == (2, 7, 5)
    assert (inputs["engagement_minutes"], inputs["level_max"]) == (1.5, 12)


def test_a_player_who_was_never_seen_has_counts_of_zero_and_spans_that_are_not_known() -> None:
    inputs = spend_inputs(None, an_event_at())

    assert (inputs["events"], inputs["spends"], inputs["spend_sum"]) == (0, 0, 0)
    for name in ("days_since_install", "hours_since_last_event", "days_since_last_spend", "level_max", "local_hour"):
        assert math.isnan(float(inputs[name])), name


def test_what_the_event_tells_goes_before_what_was_known() -> None:
    event = an_event_at(
        user_first_touch_timestamp=MONDAY - DAY,
        geo=Geo(country="Peru"),
        device=Device(language="es-PE", operating_system="ANDROID", time_zone_offset_seconds=-5 * 3600),
    )

    inputs = spend_inputs(ANNA, event)

    assert (inputs["country"], inputs["language"], inputs["operating_system"]) == ("Peru", "es", "ANDROID")
    assert (inputs["days_since_install"], inputs["local_hour"]) == (1, 19)


@pytest.mark.parametrize(
    "event", [an_event_at(), an_event_at(device=Device(operating_system="NaN"), geo=Geo(country=""))]
)
def test_what_the_event_does_not_tell_comes_from_the_state(event: Event) -> None:
    inputs = spend_inputs(ANNA, event)

    assert (inputs["country"], inputs["language"], inputs["operating_system"]) == ("Japan", "ja", "IOS")


def test_a_device_on_greenwich_time_is_known_to_be() -> None:
    event = an_event_at(device=Device(time_zone_offset_seconds=0))

    assert spend_inputs(ANNA, event)["local_hour"] == 0


def test_clocks_that_disagree_never_make_a_span_negative() -> None:
    inputs = spend_inputs(ANNA, an_event_at(MONDAY - 100 * DAY))

    assert inputs["days_since_install"] == inputs["hours_since_last_event"] == inputs["days_since_last_spend"] == 0


def test_no_input_changes_when_everything_happens_a_week_later() -> None:
    week = 7 * DAY
    times = {name: getattr(ANNA, name) for name in PlayerState.__dataclass_fields__ if name.endswith("_micros")}
    fields = {name: getattr(ANNA, name) for name in PlayerState.__dataclass_fields__}
    later = PlayerState(**(fields | {name: time + week for name, time in times.items()}))

    assert spend_inputs(later, an_event_at(MONDAY + week)) == spend_inputs(ANNA, an_event_at())


@pytest.mark.parametrize(
    ("code", "language"), [("zh-hans-cn", "zh"), ("en-001", "en"), ("pt_BR", "pt"), ("FR", "fr"), ("", ""), (None, "")]
)
def test_a_language_is_known_without_its_region(code: str | None, language: str) -> None:
    assert base_language(code) == language


def test_a_window_ends_with_the_moment_and_not_with_the_last_event() -> None:
    slot = MONDAY // SLOT_MICROS
    recent = (Slot(slot - 1008, 9, 9, 9, 9.0), Slot(slot - 100, 8, 4, 2, 5.0), Slot(slot - 3, 2, 1, 1, 3.0))
    busy = replace(ANNA, recent=recent)

    now, tomorrow = spend_inputs(busy, an_event_at()), spend_inputs(busy, an_event_at(MONDAY + DAY))

    assert [now[f"events_{window}"] for window in ("1h", "24h", "7d")] == [2, 10, 10]
    assert (now["fails_24h"], now["spends_24h"], now["spend_sum_24h"]) == (5, 3, 8)
    assert [tomorrow[f"spend_sum_{window}"] for window in ("1h", "24h", "7d")] == [0, 0, 8]


def test_skill_is_the_share_of_levels_that_were_completed() -> None:
    assert math.isnan(float(spend_inputs(ANNA, an_event_at())["skill"]))
    assert spend_inputs(replace(ANNA, levels_completed=3, levels_failed=1), an_event_at())["skill"] == 0.75
