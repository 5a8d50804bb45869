"""Generated histories against the published figures.

Over the published 114 days. The tolerances hold for most seeds, and fail when a rate is off by a third to a half.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from datetime import date

import pytest

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate import Summary, World, published, simulate, summarise

WORLD = World(start=date(2026, 1, 5), players=700, days=published.DAYS, seed=1)
DAY = 86_400_000_000
COMMON = [name for name in published.EVENT_COUNTS if published.share(name) > 0.004]
RARE = [name for name in published.EVENT_COUNTS if 0.0002 < published.share(name) <= 0.004]


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(simulate(WORLD))


@pytest.mark.parametrize("name", COMMON)
def test_a_common_event_has_the_published_share_to_a_third(summary: Summary, name: str) -> None:
    assert summary.shares[name] == pytest.approx(published.share(name), rel=0.35)


def test_the_mix_as_a_whole_is_the_published_one_to_three_hundredths(summary: Summary) -> None:
    off = sum(abs(summary.shares.get(name, 0) - published.share(name)) for name in published.EVENT_COUNTS) / 2

    assert off < 0.03


@pytest.mark.parametrize("name", RARE)
def test_a_rare_event_has_the_published_share_to_a_factor_of_three(summary: Summary, name: str) -> None:
    assert published.share(name) / 3 < summary.shares[name] < published.share(name) * 3


def test_no_name_occurs_that_is_not_published(summary: Summary) -> None:
    assert set(summary.shares) <= set(published.EVENT_COUNTS)


@pytest.mark.parametrize(("day", "within"), [(1, 0.045), (3, 0.035), (7, 0.025), (14, 0.02), (30, 0.015)])
def test_players_come_back_as_published(summary: Summary, day: int, within: float) -> None:
    assert summary.retention[day] == pytest.approx(published.RETENTION[day], abs=within)


def test_half_of_the_players_are_seen_on_one_day_only(summary: Summary) -> None:
    assert summary.one_day_share == pytest.approx(published.ONE_DAY_SHARE, abs=0.06)


def test_events_of_a_player_have_the_published_middle_and_a_tail_that_is_cut(summary: Summary) -> None:
    assert summary.events_per_player[50] == pytest.approx(published.EVENTS_PER_PLAYER[50], rel=0.25)
    assert summary.events_per_player[90] == pytest.approx(published.EVENTS_PER_PLAYER[90], rel=0.3)
    assert summary.events_per_player[99] < 5_541


def test_as_many_players_spend_as_published(summary: Summary) -> None:
    assert summary.spenders / summary.players == pytest.approx(published.SPENDERS / published.PLAYERS, abs=0.03)


def test_players_and_clocks_are_spread_as_published(summary: Summary) -> None:
    assert summary.android == pytest.approx(published.ANDROID_SHARE_OF_EVENTS, abs=0.1)
    assert summary.other_date_than_utc == pytest.approx(published.OTHER_DATE_THAN_UTC, abs=0.06)
    for country, share in published.COUNTRIES.items():
        assert summary.countries[country] == pytest.approx(share, abs=0.05)


def test_a_history_of_the_usual_length_stays_small_and_has_spends_to_learn_from(usual: list[Event]) -> None:
    summary = summarise(usual)

    assert summary.players == 700
    assert 90 <= summary.events / summary.players <= 170
    assert summary.spends >= 120


@pytest.fixture(scope="module")
def usual() -> list[Event]:
    return list(simulate(World(start=date(2026, 3, 2), players=700, days=28, seed=5, resend_rate=0)))


def test_past_spends_tell_of_spends_in_the_next_day(usual: list[Event]) -> None:
    """At the start of a session, of those with no spend, one or two, and more behind them."""
    spends, starts = defaultdict[str, list[int]](list), list[tuple[str, int]]()
    for event in usual:
        if event.event_name == "spend_virtual_currency":
            spends[event.user_pseudo_id].append(event.event_timestamp)
        elif event.event_name == "session_start" and event.event_timestamp < usual[-1].event_timestamp - DAY:
            starts.append((event.user_pseudo_id, event.event_timestamp))
    outcomes = defaultdict[int, list[bool]](list)
    for player, now in starts:
        times = spends[player]
        known = bisect.bisect_right(times, now)
        outcomes[min(known, 3)].append(known < len(times) and times[known] <= now + DAY)
    rates = {past: sum(found) / len(found) for past, found in outcomes.items()}

    assert rates[0] < 0.1
    assert rates[1] > 2 * rates[0]
    assert rates[3] > 4 * rates[0]
