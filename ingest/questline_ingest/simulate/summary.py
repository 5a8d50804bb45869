"""What a stream of events looks like from far off: the figures that the published export is known by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from questline_core.events.checks import check
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate import published


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
    days: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Tally:
    ids: set[str] = field(default_factory=set)
    resent: int = 0
    names: Counter[str] = field(default_factory=Counter)
    players: dict[str, _Seen] = field(default_factory=dict)
    android: int = 0
    other_date: int = 0

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
        )


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
