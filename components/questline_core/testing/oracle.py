"""Events whose whole content follows from their id, so that what comes out is judged without a copy of what went in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any

from questline_core.pb.telemetry_pb2 import Event

FIRST_MICROS = 1_800_000_000_000_000
_LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What became of the events that were acknowledged, as seen in the table."""

    sent: int
    rows: int
    missing: int
    """Acknowledged, and no row."""
    invented: int
    """A row whose id was never sent."""
    doubled: int
    """Rows of an id beyond its first."""
    corrupted: int
    """Rows that say something else than the event said."""
    sums_equal: bool

    @property
    def clean(self) -> bool:
        """Tell whether every event is one row that says what the event said."""
        wrong = self.missing or self.invented or self.doubled or self.corrupted
        return not wrong and self.sums_equal and self.rows == self.sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Knows the events of one run."""

    seed: int
    events: int
    resend_rate: float = 0.03

    def event(self, number: int) -> Event:
        """Make one event; its texts and numbers are drawn from its id."""
        event_id = f"oracle-{self.seed}-{number}"
        drawn = blake2b(event_id.encode(), digest_size=32).digest()
        event = Event(
            event_id=event_id,
            event_name=f"level_{drawn[0] % 7}",
            user_pseudo_id=f"player-{int.from_bytes(drawn[1:3]) % 977}",
            event_timestamp=FIRST_MICROS + number * 1_000,
            event_bundle_sequence_id=int.from_bytes(drawn[3:11], signed=True),
            event_value_in_usd=int.from_bytes(drawn[11:13])
            / 64,  # so small that any order of adding gives the same sum
        )
        text = (drawn.hex() * 20)[: int.from_bytes(drawn[13:15]) % _LONGEST_TEXT]
        event.event_params.add(key="text").value.string_value = text
        return event

    def sent(self) -> Iterator[Event]:
        """Give all events in order, and some of them once more a little later, as clients resend."""
        dice, again = Random(self.seed), list[int]()  # noqa: S311 - repeatable, and no secret
        for number in range(self.events):
            yield self.event(number)
            if dice.random() < self.resend_rate:
                again.append(number)
            if again and dice.random() < self.resend_rate:
                yield self.event(again.pop(0))

    def judge(self, rows: Iterable[Mapping[str, Any]]) -> Judgement:
        """Compare rows of `telemetry.events` (as dictionaries) with what was sent."""
        seen, invented, doubled, corrupted, whole, dollars = set[int](), 0, 0, 0, 0, 0.0
        for row in rows:
            whole, dollars = whole + row["event_bundle_sequence_id"], dollars + row["event_value_in_usd"]
            number = self._number(row["event_id"])
            if number is None:
                invented += 1
            elif number in seen:
                doubled += 1
            else:
                seen.add(number)
                corrupted += not _says(row, self.event(number))
        return Judgement(
            sent=self.events,
            rows=len(seen) + invented + doubled,
            missing=self.events - len(seen),
            invented=invented,
            doubled=doubled,
            corrupted=corrupted,
            sums_equal=(whole, dollars) == self._sums(),
        )

    def _sums(self) -> tuple[int, float]:
        """Add up the whole numbers and the dollars of all events."""
        events = [self.event(number) for number in range(self.events)]
        return sum(e.event_bundle_sequence_id for e in events), sum(e.event_value_in_usd for e in events)

    def _number(self, event_id: str) -> int | None:
        prefix, _, number = event_id.rpartition("-")
        known = prefix == f"oracle-{self.seed}" and number.isdecimal() and int(number) < self.events
        return int(number) if known else None


def _says(row: Mapping[str, Any], event: Event) -> bool:
    columns = ("event_name", "user_pseudo_id", "event_timestamp", "event_bundle_sequence_id", "event_value_in_usd")
    texts = [part["value"]["string_value"] for part in row["event_params"]]
    return all(row[name] == getattr(event, name) for name in columns) and texts == [
        part.value.string_value for part in event.event_params
    ]
