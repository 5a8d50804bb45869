"""What a stream of events looks like from far off: the figures that the published export is known by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from questline_core.events.checks import check
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate import published
from questline_ingest.simulate.world import DAY, HOUR, SECOND

BOUNCE = 600 * SECOND
"""Who is not seen for longer than this from first to last has bounced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of one history, resent copies counted once."""

    events: int
    resent: int
    players: int
    days: int
    """From the first to the last `event_date`."""
    shares: Mapping[str, float]
    """Event name to its share of the events, the most frequent first."""
    events_per_player: Mapping[int, int]
    """Percentile (50, 90, 99, 100) to events of a player."""
    one_day_share: float
    """Share of players seen on one day only."""
    retention: Mapping[int, float]
    """Day n to the share of players seen again exactly n days after their first, of those whose day n is covered."""
    spends: int
    """Events in which virtual currency was spent."""
    spenders: int
    """Players who spent at least once."""
    countries: Mapping[str, float]
    """Country to its share of the players."""
    android: float
    """Share of events from Android."""
    other_date_than_utc: float
    """Share of events whose `event_date` is not their UTC date."""
    languages: int
    """Different language codes."""
    engagement_ms: Mapping[int, int]
    """Percentile (50, 90, 99, 100) to `engagement_time_msec`."""
    spend_values: tuple[int, int]
    """Least and most steps spent at once; zeros without a spend."""
    wrong_clocks: float
    """Share of players whose device clock is wrong by an hour or more."""
    system_unknown: float
    """Share of players whose operating system is missing or "NaN"."""
    bounced: float
    """Share of players whose last engagement is at most ten minutes after the first; see `churned`."""
    churned: float
    """Of the others: last engagement within 24 hours of the first. Who came in the last 48 hours is left out."""
    churn_by_engagement: Mapping[str, tuple[int, float]]
    """Range of engagements in the first 24 hours ("1-2") to players and the share of them who churned."""


def summarise(events: Iterable[Event]) -> Summary:
    """Summarise a history in one pass; what breaks the contract is left out."""
    tally = _Tally()
    for event in events:
        if check(event) is None:
            tally.add(event)
    return tally.summary()


@dataclass(slots=True)
class _Seen:
    country: str
    events: int = 0
    spends: int = 0
    wrong_clock: bool = False
    system_unknown: bool = False
    first: int = 0
    """First engagement, microseconds UTC."""
    last: int = 0
    on_first_day: int = 0
    days: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Tally:
    ids: set[str] = field(default_factory=set)
    resent: int = 0
    names: Counter[str] = field(default_factory=Counter)
    players: dict[str, _Seen] = field(default_factory=dict)
    android: int = 0
    other_date: int = 0
    languages: set[str] = field(default_factory=set)
    engagement_ms: Counter[int] = field(default_factory=Counter)
    spend_values: set[int] = field(default_factory=set)
    latest: int = 0

    def add(self, event: Event) -> None:
        if event.event_id in self.ids:
            self.resent += 1
            return
        self.ids.add(event.event_id)
        self.names[event.event_name] += 1
        self.android += event.platform == "ANDROID"
        self.other_date += event.event_date != _utc_date(event)
        seen = self.players.setdefault(event.user_pseudo_id, _Seen(event.geo.country))
        seen.events += 1
        seen.spends += event.event_name == "spend_virtual_currency"
        seen.days.add(event.event_date)
        seen.wrong_clock |= abs(event.client_time - event.event_timestamp) >= HOUR
        seen.system_unknown = event.device.operating_system in {"", "NaN"}
        self.languages.add(event.device.language)
        self.latest = max(self.latest, event.event_timestamp)
        if event.event_name == "spend_virtual_currency":
            self.spend_values.add(_number(event, "value"))
        elif event.event_name == "user_engagement":
            self._engage(seen, event)

    def _engage(self, seen: _Seen, event: Event) -> None:
        now = event.event_timestamp
        self.engagement_ms[_number(event, "engagement_time_msec")] += 1
        seen.first = min(seen.first or now, now)
        seen.last = max(seen.last, now)
        seen.on_first_day += now < seen.first + DAY

    def summary(self) -> Summary:
        events, seen = self.names.total(), list(self.players.values())
        days = [_numbers(player.days) for player in seen]
        return Summary(
            events=events,
            resent=self.resent,
            players=len(seen),
            days=1 + max(map(max, days)) - min(map(min, days)) if days else 0,
            shares={name: number / events for name, number in self.names.most_common()},
            events_per_player=_percentiles(sorted(player.events for player in seen)),
            one_day_share=_share(len(of) == 1 for of in days),
            retention=_retention(days),
            spends=self.names["spend_virtual_currency"],
            spenders=sum(player.spends > 0 for player in seen),
            countries={
                country: number / len(seen) for country, number in Counter(p.country for p in seen).most_common()
            },
            android=self.android / max(events, 1),
            other_date_than_utc=self.other_date / max(events, 1),
            languages=len(self.languages),
            engagement_ms=_percentiles(sorted(self.engagement_ms.elements())),
            spend_values=(min(self.spend_values, default=0), max(self.spend_values, default=0)),
            wrong_clocks=_share(player.wrong_clock for player in seen),
            system_unknown=_share(player.system_unknown for player in seen),
            **self._leaving(),
        )

    def _leaving(self) -> dict[str, Any]:
        known = [one for one in self.players.values() if one.first and one.first < self.latest - 2 * DAY]
        stayed = [one for one in known if one.last - one.first > BOUNCE]
        gone = {id(one): one.last < one.first + DAY for one in stayed}
        ranges = {}
        for least, most in published.CHURN_BY_ENGAGEMENT:
            them = [gone[id(one)] for one in stayed if least <= one.on_first_day <= most]
            ranges[f"{least}-{most}"] = (len(them), _share(them))
        return {
            "bounced": 1 - len(stayed) / max(len(known), 1),
            "churned": _share(gone.values()),
            "churn_by_engagement": ranges,
        }


def _number(event: Event, key: str) -> int:
    value = next(param.value for param in event.event_params if param.key == key)
    return value.int_value or int(value.double_value)


def _utc_date(event: Event) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=event.event_timestamp)
    return f"{moment:%Y%m%d}"


def _numbers(dates: Iterable[str]) -> list[int]:
    return [datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC).toordinal() for date in dates]


def _share(answers: Iterable[bool]) -> float:
    found = list(answers)
    return sum(found) / max(len(found), 1)


def _percentiles(ordered: list[int]) -> dict[int, int]:
    return {q: ordered[min(len(ordered) * q // 100, len(ordered) - 1)] for q in (50, 90, 99, 100)} if ordered else {}


def _retention(days: list[list[int]]) -> dict[int, float]:
    last = max(map(max, days), default=0)
    shares = {}
    for n in published.RETENTION:
        covered = [of for of in days if min(of) + n <= last]
        if covered:
            shares[n] = _share(min(of) + n in of for of in covered)
    return shares
