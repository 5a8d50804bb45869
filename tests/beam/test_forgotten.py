"""A late event does not bring a forgotten player back."""

from __future__ import annotations

from typing import Any

import pytest

from questline_beam.driver import Driver, Pace
from questline_core.features.refresh import refresh
from questline_core.features.store import open_writer
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import PrivacyKey
from questline_core.warehouse.port import EVENTS

KEY = PrivacyKey(b"k" * 32)


@pytest.fixture
def forgotten(stream: Any) -> Forgotten:
    return Forgotten(stream.warehouse, KEY)


def driver(stream: Any, forgotten: Forgotten) -> Driver:
    pace = Pace(batch=1_000, lease_s=60.0, wait_s=0)
    return Driver(broker=stream.spool, warehouse=stream.warehouse, rows=stream.graph, pace=pace, forgotten=forgotten)


def test_events_and_rejects_of_a_forgotten_player_are_left_out_and_counted(
    stream: Any, telemetry: Any, forgotten: Forgotten
) -> None:
    Forgotten(stream.warehouse, KEY).add("gone")  # by another process
    broken = Event(event_id="x", user_pseudo_id="gone").SerializeToString()
    stream.publish(
        telemetry.message("a", user_pseudo_id="gone"),
        telemetry.message("b"),
        telemetry.reject(broken),
        telemetry.garbage(),
    )

    working = driver(stream, forgotten)
    assert working.one_batch() == 4

    assert stream.event_ids() == ["b"]
    assert (working.progress.rows, working.progress.rejects, working.progress.forgotten) == (1, 1, 2)
    assert stream.spool.depth() == 0


def test_a_player_who_is_forgotten_while_a_batch_is_written_is_not_in_the_table(
    stream: Any, telemetry: Any, forgotten: Forgotten, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream.publish(telemetry.message("a", user_pseudo_id="gone"), telemetry.message("b"))
    append = stream.warehouse.append

    def forget_first(table: str, rows: Any, *, key: str) -> Any:
        monkeypatch.undo()
        Forgotten(stream.warehouse, KEY).add("gone")
        return append(table, rows, key=key)

    monkeypatch.setattr(stream.warehouse, "append", forget_first)
    driver(stream, forgotten).one_batch()

    assert stream.event_ids() == ["b"]


def test_what_a_writer_that_died_has_written_meanwhile_is_erased_when_its_batch_comes_again(
    stream: Any, telemetry: Any, forgotten: Forgotten
) -> None:
    stream.publish(telemetry.message("a", user_pseudo_id="gone"), telemetry.message("b"))
    dying = Driver(
        broker=stream.spool,
        warehouse=stream.warehouse,
        rows=stream.graph,
        pace=Pace(batch=1_000, lease_s=60.0, wait_s=0),
        on_players=lambda _: 1 / 0,  # after the rows, before the acknowledgement
    )
    with pytest.raises(ZeroDivisionError):
        dying.one_batch()
    assert stream.event_ids() == ["a", "b"]
    Forgotten(stream.warehouse, KEY).add("gone")

    driver(stream, forgotten).one_batch()

    assert stream.event_ids() == ["b"]


def test_features_of_a_forgotten_player_are_not_written(stream: Any, telemetry: Any, forgotten: Forgotten) -> None:
    stream.publish(telemetry.message("a", user_pseudo_id="gone"), telemetry.message("b", user_pseudo_id="stays"))
    driver(stream, forgotten).one_batch()
    Forgotten(stream.warehouse, KEY).add("gone")

    with open_writer(stream.home / "features") as store:
        assert refresh(stream.warehouse, store, None, forgotten=forgotten) == 1
        assert (store.get("gone"), store.get("stays") is None) == (None, False)
    assert stream.warehouse.describe(EVENTS).rows == 2
