"""A snapshot that follows a warehouse: what each look writes, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from questline_core.features import follow
from questline_core.features.follow import Follower
from questline_core.features.moments import states_now
from questline_core.features.store import FeatureStore, open_writer
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.bigquery.server import stand_in
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

MINUTE = DAY // 1440


@pytest.fixture(params=["duckdb", "bigquery"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    with ExitStack() as opened:
        address = f"duckdb:{tmp_path / 'warehouse'}"
        if request.param == "bigquery":
            google = opened.enter_context(stand_in(tmp_path / "google"))
            monkeypatch.setenv("QUESTLINE_BIGQUERY_ENDPOINT", google.endpoint)
            monkeypatch.setenv("QUESTLINE_BIGQUERY_WRITE_ENDPOINT", google.write_endpoint)
            address = google.address
        yield opened.enter_context(closing(open_warehouse(address)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    with open_writer(tmp_path / "features") as opened:
        yield opened


def came(player: str, at: int, *, received: int = 0) -> Event:
    """An event that arrived a minute after it happened, unless told otherwise."""
    event = an_event(player, at, "level_start")
    if received:
        event.received_time = received
    return event


def known(store: FeatureStore, warehouse: Warehouse) -> set[str]:
    """Name the players in the snapshot, whose states must all be those of the warehouse."""
    now = dict(states_now(warehouse, None))
    found = {player: store.get(player) for player in ("anna", "bert", "cleo")}
    present = {player: state for player, state in found.items() if state}
    assert present == {player: now[player] for player in present}
    return set(present)


def test_the_first_look_writes_everybody_and_later_ones_who_has_new_rows(
    warehouse: Warehouse, store: FeatureStore
) -> None:
    follower = Follower(store)
    assert follower.look(warehouse) == 0  # there is no table yet
    fill(warehouse, [came("anna", MONDAY), came("bert", MONDAY + DAY)])
    looks = [follower.look(warehouse), follower.look(warehouse)]

    fill(warehouse, [came("cleo", MONDAY + DAY + 30 * MINUTE)])
    looks += [follower.look(warehouse), follower.look(warehouse)]

    assert looks == [2, 0, 2, 0]  # bert's once more, for looks overlap
    assert known(store, warehouse) == {"anna", "bert", "cleo"}


def test_rows_that_came_out_of_order_or_days_after_their_events_are_seen(
    warehouse: Warehouse, store: FeatureStore
) -> None:
    follower = Follower(store)
    fill(warehouse, [came("anna", MONDAY + 3 * DAY)])
    follower.look(warehouse)

    fill(warehouse, [came("bert", MONDAY + 3 * DAY - 10 * MINUTE)])
    fill(warehouse, [came("cleo", MONDAY, received=MONDAY + 3 * DAY + MINUTE)])

    assert follower.look(warehouse) == 3
    assert known(store, warehouse) == {"anna", "bert", "cleo"}


def test_who_was_forgotten_is_gone_when_everybody_is_written_again(
    warehouse: Warehouse, store: FeatureStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    follower = Follower(store)
    fill(warehouse, [came("anna", MONDAY), came("bert-who-leaves", MONDAY)])
    follower.look(warehouse)
    warehouse.erase(EVENTS, column="user_pseudo_id", values=["bert-who-leaves"])

    follower.look(warehouse)
    before = store.get("bert-who-leaves")
    monkeypatch.setattr(follow, "EVERYBODY_EVERY_S", 0.0)
    follower.look(warehouse)

    assert before is not None
    assert store.get("bert-who-leaves") is None
    assert b"bert-who-leaves" not in (tmp_path / "features" / "data.mdb").read_bytes()
    assert known(store, warehouse) == {"anna"}


def test_everybody_is_written_again_when_a_day_is_over_and_not_before(
    warehouse: Warehouse, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 100_000.0)
    monkeypatch.setattr(follow, "time", clock)
    follower = Follower(store)
    fill(warehouse, [came("anna", MONDAY)])
    looks = [follower.look(warehouse)]

    for seconds in (100_000.0 + 86_399, 100_000.0 + 86_400, 100_000.0 + 86_401):
        clock.monotonic = partial(float, seconds)
        looks.append(follower.look(warehouse))

    assert looks == [1, 0, 1, 0]


def test_too_many_players_to_name_are_all_of_them(
    warehouse: Warehouse, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MOST_PLAYERS", 1)
    follower = Follower(store)
    fill(warehouse, [came("anna", MONDAY)])
    follower.look(warehouse)

    fill(warehouse, [came("bert", MONDAY + DAY), came("cleo", MONDAY + DAY)])

    assert follower.look(warehouse) == 3
    assert known(store, warehouse) == {"anna", "bert", "cleo"}
