from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.load.plan import Plan
from questline_ingest.load.record import PERCENTILES, Record, percentiles_ms
from questline_ingest.load.run import run
from questline_ingest.load.source import Marks, Source, from_file, from_players
from questline_ingest.load.target import Answered, CallFailed
from questline_ingest.testing import an_event

MARKS = Marks(title="flood")


class Door:
    """A target that does as it is told."""

    def __init__(self) -> None:
        self.calls: list[list[Event]] = []
        self.pause_s = 0.0
        self.fails = ""
        self.busy = self.most_busy = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send(self, events: Sequence[bytes]) -> Answered:
        self.calls.append([Event.FromString(data) for data in events])
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        await asyncio.sleep(self.pause_s)
        self.busy -= 1
        if self.fails:
            raise CallFailed(self.fails)
        return Answered(outcomes=Counter(accepted=len(events)), predictions=Counter())


def a_source(*, per_call: int = 1) -> Source:
    return Source(
        [an_event(f"e{n}", user_pseudo_id=f"p{n}").SerializeToString() for n in range(3)], MARKS, per_call=per_call
    )


async def test_a_run_makes_the_calls_of_its_plan() -> None:
    door = Door()
    record = await run(Plan(calls_per_s=500, duration_s=0.1), a_source(per_call=4), door, in_flight=10)

    assert len(door.calls) == record.calls == 50
    assert (record.events, record.outcomes, record.failures) == (200, Counter(accepted=200), Counter())


async def test_a_stall_of_the_gateway_is_in_the_latency_of_every_call_that_was_due_meanwhile() -> None:
    door = Door()
    door.pause_s = 0.3
    record = await run(Plan(calls_per_s=100, duration_s=0.2), a_source(), door, in_flight=1)

    # One after the other, call n ends after 0.3 (n + 1) s and was due after 0.01 n: a generator that measures from
    # when it sends would tell 0.3 s for each.
    assert door.most_busy == 1
    assert record.latency_s[-1] >= 0.3 * 20 - 0.01 * 19 - 0.01
    assert all(latency >= 0.3 * (n + 1) - 0.01 * n - 0.01 for n, latency in enumerate(record.latency_s))


async def test_calls_without_an_answer_are_bounded() -> None:
    door = Door()
    door.pause_s = 0.02
    await run(Plan(calls_per_s=10_000, duration_s=0.01), a_source(), door, in_flight=7)

    assert door.most_busy == 7


async def test_failed_calls_are_counted_by_code_and_have_a_latency() -> None:
    door = Door()
    door.fails = "UNAVAILABLE"
    record = await run(Plan(calls_per_s=1000, duration_s=0.02), a_source(), door, in_flight=10)

    assert (record.failures, record.calls, record.outcomes) == (Counter(UNAVAILABLE=20), 20, Counter())


def test_every_event_is_a_test_with_an_id_a_time_and_a_title_of_its_own() -> None:
    source = a_source(per_call=5)
    events = [Event.FromString(data) for _ in range(3) for data in source.call()]

    assert len({event.event_id for event in events}) == 15
    assert {(event.is_test, event.title) for event in events} == {(True, "flood")}
    assert [event.user_pseudo_id for event in events] == ["p0", "p1", "p2"] * 5
    assert min(event.event_timestamp for event in events) > 1_700_000_000_000_000
    assert a_source().call()[0] != source.call()[0]


def test_only_who_says_so_sends_events_that_models_learn_from() -> None:
    source = Source([an_event(is_test=True).SerializeToString()], Marks(title="flood", is_test=False), per_call=1)

    assert Event.FromString(source.call()[0]).is_test is False


def test_simulated_players_are_the_same_for_a_seed() -> None:
    first, second, other = (from_players(5, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    assert {Event.FromString(data).origin for data in first} == {"generated"}


def test_a_file_is_replayed_as_it_is_and_an_unreadable_one_is_refused(tmp_path: Path) -> None:
    export = tmp_path / "events.ndjson"
    export.write_text('{"event_name": "level_up", "user_pseudo_id": "ann", "event_timestamp": "7"}\n\n')
    (event,) = map(Event.FromString, from_file(export))
    assert (event.event_name, event.user_pseudo_id, event.event_timestamp) == ("level_up", "ann", 7)

    export.write_text('{"event_name": "level_up"}\n{"event_name": 7\n')
    with pytest.raises(BadInput, match=r"events\.ndjson, line 2: the line is not JSON"):
        from_file(export)
    export.write_text("\n")
    with pytest.raises(BadInput, match="holds no event"):
        from_file(export)


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles_ms([n / 1000 for n in range(1, 1001)]) == dict(
        zip(PERCENTILES, (500, 900, 990, 999, 1000), strict=True)
    )
    assert percentiles_ms([0.007]) == dict.fromkeys(PERCENTILES, 7)
    assert percentiles_ms([]) == dict.fromkeys(PERCENTILES, 0)


def test_records_of_processes_add_up() -> None:
    one, other = Record(wall_s=2, cpu_s=1, late_s=0.1, events=3), Record(wall_s=3, cpu_s=2, late_s=0.05, events=4)
    one.ended(0.5, 0.001)
    other.ended(1.5, 0.003)
    one.outcomes["accepted"] = other.outcomes["accepted"] = 3
    one.add(other)

    assert (one.calls, one.events, one.wall_s, one.cpu_s, one.late_s) == (2, 7, 3, 3, 0.1)
    assert one.outcomes == Counter(accepted=6)
    assert one.by_second() == [(0, 1, 1.0, 1.0), (1, 1, 3.0, 3.0)]
