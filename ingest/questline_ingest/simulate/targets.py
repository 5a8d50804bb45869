"""Hold generated players against the published figures: each target with its tolerance, and whether it is met."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from questline_ingest.simulate import published
from questline_ingest.simulate.summary import Summary

COMMON_SHARE = 0.004
"""An event name with a smaller share is rare; it belongs to few players and varies more from seed to seed."""
FEWEST_EVENTS, FEWEST_PLAYERS = 40, 60
"""Below this many published events (as many as would be expected here), or players, a share says nothing."""
RETENTION_WITHIN = {1: 0.03, 3: 0.025, 7: 0.02, 14: 0.015, 30: 0.012}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One published figure beside the generated one."""

    what: str
    published: float
    generated: float
    least: float
    most: float
    """The generated figure should lie between these two."""

    @property
    def met(self) -> bool:
        """Say whether the generated figure is within the tolerance."""
        return self.least <= self.generated <= self.most


def targets(summary: Summary) -> list[Target]:
    """List all targets; the tolerances hold for most seeds with 3,000 players or more over the published 114 days."""
    return [*_players(summary), *_back(summary), *_churn(summary), *_mix(summary)]


def _within(what: str, goal: float, generated: float, margin: float) -> Target:
    return Target(what=what, published=goal, generated=generated, least=goal - margin, most=goal + margin)


def _by_factor(what: str, goal: float, generated: float, factor: float) -> Target:
    return Target(what=what, published=goal, generated=generated, least=goal / factor, most=goal * factor)


def _players(of: Summary) -> Iterator[Target]:
    spenders = published.SPENDERS / published.PLAYERS
    yield _within("players who spend", spenders, of.spenders / max(of.players, 1), 0.025)
    spends = published.SPENDS / published.PLAYERS
    yield _by_factor("spends a player", spends, of.spends / max(of.players, 1), 1.6)
    yield _by_factor("events a player, p50", published.EVENTS_PER_PLAYER[50], of.events_per_player.get(50, 0), 1.35)
    yield _by_factor("events a player, p90", published.EVENTS_PER_PLAYER[90], of.events_per_player.get(90, 0), 1.35)
    engaged = of.engagement_ms
    yield _by_factor("engagement_time_msec, p50", published.ENGAGEMENT_MS_P50, engaged.get(50, 0), 1.1)
    yield _by_factor("engagement_time_msec, p99", published.ENGAGEMENT_MS_P99, engaged.get(99, 0), 1.15)
    yield _within("events on Android", published.ANDROID_SHARE_OF_EVENTS, of.android, 0.08)
    yield _within("event_date is not the UTC date", published.OTHER_DATE_THAN_UTC, of.other_date_than_utc, 0.04)
    yield _by_factor("language codes", published.LANGUAGES, of.languages, 1.6)
    yield _within("steps spent at once, least", 1, of.spend_values[0], 0)
    yield _within("steps spent at once, most", 20, of.spend_values[1], 0)
    yield _within("system missing or NaN", 0.05, of.system_unknown, 0.015)
    for country, share in published.COUNTRIES.items():
        yield _within(f"players in {country}", share, of.countries.get(country, 0), 0.03)


def _back(of: Summary) -> Iterator[Target]:
    yield _within("seen on one day only", published.ONE_DAY_SHARE, of.one_day_share, 0.05)
    for day, share in of.retention.items():
        yield _within(f"back on day {day}", published.RETENTION[day], share, RETENTION_WITHIN[day])


def _churn(of: Summary) -> Iterator[Target]:
    yield _within("bounced", published.BOUNCED_SHARE, of.bounced, 0.06)
    yield _within("churned, of the others", published.CHURNED_SHARE, of.churned, 0.04)
    for (least, most), share in published.CHURN_BY_ENGAGEMENT.items():
        players, churned = of.churn_by_engagement[f"{least}-{most}"]
        if players >= FEWEST_PLAYERS:
            ends = f"{least} to {most}" if most < 10**9 else f"over {least - 1}"
            yield _within(
                f"churned, {ends} engagements", share, churned, 0.06 + 2.5 * (share * (1 - share) / players) ** 0.5
            )


def _mix(of: Summary) -> Iterator[Target]:
    for name in published.EVENT_COUNTS:
        share = published.share(name)
        if share * of.events >= FEWEST_EVENTS:
            yield _by_factor(name, share, of.shares.get(name, 0), 1.35 if share > COMMON_SHARE else 2.5)
