"""Sessions: what parts them, and that a table of events and a stream of them fold into the same ones."""

# ruff: noqa: S608 - names of our own tables

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from questline_core.events.sessions import (
    SESSION_SCHEMA,
    SESSIONS,
    Session,
    each_event,
    joined,
    refresh_sessions,
    session_rows,
)
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import PrivacyKey
from questline_core.testing.event_tables import MONDAY, an_event, fill
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

MINUTE_US = 60_000_000
KEY = PrivacyKey(b"k" * 32)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with closing(open_warehouse(f"duckdb:{tmp_path}")) as opened:
        opened.create(SESSIONS, SESSION_SCHEMA)
        yield opened


def event(minute: float, *, came: float | None = None, player: str = "ann", **params: int) -> Event:
    """An event of so many minutes after MONDAY, which came at once if nothing else is said."""
    made = an_event(player, MONDAY + int(minute * MINUTE_US), "user_engagement", **params)
    made.event_id += f"-{came}"
    made.received_time = MONDAY + int((minute if came is None else came) * MINUTE_US)
    return made


def refresh(warehouse: Warehouse, players: Sequence[str] | None = None) -> None:
    refresh_sessions(warehouse, players, forgotten=Forgotten(warehouse, KEY))


def minutes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Player, first and last minute, number of events of each session."""
    rows = warehouse.query(
        "SELECT user_pseudo_id, DIV(UNIX_MICROS(started) - @t, 60000000) AS a, DIV(UNIX_MICROS(ended) - @t, 60000000) AS b,"
        f" events FROM {SESSIONS} ORDER BY 1, 2, 3",
        t=MONDAY,
    )
    return [tuple(row.values()) for row in rows.to_pylist()]


def folded_one_by_one(warehouse: Warehouse, dice: Random) -> list[str]:
    """Fold the events of the table as the stream does, in any order."""
    of_player = dict[str, list[Session]]()
    rows = each_event(warehouse.query(f"SELECT * FROM {EVENTS}"))
    for session in dice.sample(rows, len(rows)):
        opened = [*of_player.get(session.player, ()), session]
        of_player[session.player] = [session for came in joined(opened) for session in came]
    return sorted(map(str, session_rows([s for opened in of_player.values() for s in opened]).to_pylist()))


def test_thirty_quiet_minutes_part_sessions_and_one_less_does_not(warehouse: Warehouse) -> None:
    fill(warehouse, [event(0), event(29.9), event(59.9), event(60)])

    refresh(warehouse)

    assert minutes(warehouse) == [("ann", 0, 29, 2), ("ann", 59, 60, 2)]


def test_what_a_phone_kept_while_it_was_offline_is_one_session(warehouse: Warehouse) -> None:
    fill(warehouse, [event(minute, came=600 + minute / 100) for minute in (0, 10, 20, 90)])

    refresh(warehouse)

    assert minutes(warehouse) == [("ann", 0, 20, 3), ("ann", 90, 90, 1)]


def test_a_late_event_of_a_session_that_is_over_is_a_session_of_its_own(warehouse: Warehouse) -> None:
    fill(warehouse, [event(0), event(10), event(5, came=41)])

    refresh(warehouse)

    assert minutes(warehouse) == [("ann", 0, 10, 2), ("ann", 5, 5, 1)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_table_and_a_stream_fold_the_same_sessions(warehouse: Warehouse, seed: int) -> None:
    dice = Random(seed)
    events = []
    for number in range(1_000):
        made = event(dice.randrange(1_500), player=f"p{dice.randrange(9)}", engagement_time_msec=dice.randrange(9_999))
        made.received_time += dice.choice([0, 1, 40, 200]) * MINUTE_US
        made.event_id, made.platform = f"e{number}", dice.choice(["IOS", "ANDROID"])
        made.geo.country, made.app_info.version = dice.choice(["Chile", "Japan"]), str(number)
        events.append(made)
    fill(warehouse, events)

    refresh(warehouse)

    kept = sorted(map(str, warehouse.query(f"SELECT * FROM {SESSIONS}").to_pylist()))
    assert len(kept) > 100
    assert kept == folded_one_by_one(warehouse, dice)


def test_players_who_are_not_asked_for_keep_their_rows_and_others_get_new_ones(warehouse: Warehouse) -> None:
    fill(warehouse, [event(0), event(0, player="bob")])
    refresh(warehouse)
    fill(warehouse, [event(1), event(1, player="bob")])

    refresh(warehouse, ["bob"])

    assert minutes(warehouse) == [("ann", 0, 0, 1), ("bob", 0, 1, 2)]


def test_sessions_that_are_as_they_were_are_not_written_again(warehouse: Warehouse) -> None:
    fill(warehouse, [event(0), event(100)])
    refresh(warehouse)
    before = warehouse.version(SESSIONS)

    refresh(warehouse, ["ann"])
    refresh(warehouse)

    assert warehouse.version(SESSIONS) == before


def test_rows_of_a_day_that_were_taken_away_are_in_no_session(warehouse: Warehouse) -> None:
    fill(warehouse, [event(0), event(10), event(0, player="bob")])
    refresh(warehouse)
    warehouse.query(f"DELETE FROM {EVENTS} WHERE user_pseudo_id = 'bob' OR event_timestamp > {MONDAY}")

    refresh(warehouse)

    assert minutes(warehouse) == [("ann", 0, 0, 1)]


def test_engagement_that_cannot_be_is_left_out(warehouse: Warehouse) -> None:
    told = [2**62, 2**62, -5, 1_000, 86_400_000]
    fill(warehouse, [event(minute, engagement_time_msec=ms) for minute, ms in enumerate(told)])

    refresh(warehouse)

    assert warehouse.query(f"SELECT engagement_ms FROM {SESSIONS}").to_pylist() == [{"engagement_ms": 86_401_000}]
    assert folded_one_by_one(warehouse, Random(0)) == [str(warehouse.query(f"SELECT * FROM {SESSIONS}").to_pylist()[0])]


def test_a_player_who_is_forgotten_while_sessions_are_folded_has_none(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(warehouse, [event(0), event(0, player="bob")])
    query = warehouse.query

    def forget_first(sql: str, **parameters: Any) -> Any:
        monkeypatch.undo()
        found = query(sql, **parameters)  # bob's events are read, and his sessions written
        Forgotten(warehouse, KEY).add("bob")
        return found

    forgotten = Forgotten(warehouse, KEY)
    monkeypatch.setattr(warehouse, "query", forget_first)
    refresh_sessions(warehouse, ["ann", "bob"], forgotten=forgotten)

    assert minutes(warehouse) == [("ann", 0, 0, 1)]
