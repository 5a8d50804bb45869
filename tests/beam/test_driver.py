"""The embedded stream over a real spool and a real warehouse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from questline_beam.driver import Driver
from questline_beam.embedded import EmbeddedRows
from questline_core.broker.port import Broker, Delivery, Message
from questline_core.broker.spool import Spool
from questline_core.errors import BadInput
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import PrivacyKey
from questline_core.warehouse.port import EVENTS, REJECTS, Appended, Warehouse


class Telemetry(Protocol):
    def message(self, name: str, **fields: object) -> Message: ...
    def reject(self, payload: bytes, reason: str = "missing") -> Message: ...
    def garbage(self, data: bytes = b"") -> Message: ...


class Stream(Protocol):
    home: Path
    spool: Spool
    warehouse: Warehouse
    graph: EmbeddedRows
    now: float

    def publish(self, *messages: Message) -> None: ...
    def driver(
        self, *, broker: Broker | None = None, warehouse: Warehouse | None = None, batch: int = 1_000
    ) -> Driver: ...
    def table(self, sql: str) -> Sequence[dict[str, object]]: ...
    def event_ids(self) -> list[object]: ...


class Delegating:
    """A part with one behaviour changed."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Killed(BaseException):
    """The end of a process, as far as a test can see."""


class DiesBeforeAck(Delegating):
    """A broker whose consumer is killed when it wants to ack: nothing more reaches the broker."""

    def ack(self, _: Sequence[str]) -> None:
        raise Killed

    def nack(self, _: Sequence[str]) -> None:
        pass


class RefusesAppends(Delegating):
    """A warehouse that is out of order for its first appends to one table."""

    def __init__(self, real: Warehouse, table: str, times: int, then: Callable[[], object] = lambda: None) -> None:
        super().__init__(real)
        self.table, self.left, self._then = table, times, then

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        if table == self.table and self.left:
            self.left -= 1
            raise BadInput("the disk is full")
        appended: Appended = self._real.append(table, rows, key=key)
        if table == self.table:
            self._then()
        return appended


def drain(driver: Driver) -> dict[str, int]:
    driver.drain(threading.Event())
    return asdict(driver.progress)


def test_what_goes_in_comes_out_as_rows_duplicates_and_rejects(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(*(telemetry.message(f"e{i:04}") for i in range(1_500)))
    stream.publish(*(telemetry.message(f"e{i:04}") for i in range(100)), telemetry.garbage(), telemetry.garbage())
    stream.publish(telemetry.message("a", event_name=None), telemetry.reject(b"x"), telemetry.reject(b"x"))

    done = drain(stream.driver())

    assert (done["rows"], done["duplicates"], done["rejects"]) == (1_500, 100, 5)
    assert (done["batches"], done["backlog"], done["dead_letters"]) == (2, 0, 0)
    assert stream.event_ids() == [f"e{i:04}" for i in range(1_500)]
    reasons = stream.table("SELECT reason, COUNT(*) AS n FROM telemetry.rejects GROUP BY reason ORDER BY reason")
    assert [tuple(row.values()) for row in reasons] == [("malformed", 2), ("missing", 3)]


def test_a_crash_between_write_and_ack_gives_no_second_row(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"), telemetry.message("b"), telemetry.garbage(), telemetry.reject(b"x"))
    with pytest.raises(Killed):
        drain(stream.driver(broker=DiesBeforeAck(stream.spool)))
    assert stream.event_ids() == ["a", "b"]

    stream.now += 61
    done = drain(stream.driver())

    assert (done["rows"], done["rejects"], done["duplicates"]) == (0, 0, 4)
    assert stream.event_ids() == ["a", "b"]
    assert stream.table("SELECT COUNT(*) AS n FROM telemetry.rejects") == [{"n": 2}]
    assert stream.spool.depth() == 0


def test_a_garbage_message_becomes_a_reject_with_its_payload(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.garbage(b"\x00\xff\x01"))

    drain(stream.driver())

    (row,) = stream.table("SELECT payload, reason, source, event_id FROM telemetry.rejects")
    assert row == {"payload": b"\x00\xff\x01", "reason": "malformed", "source": "stream", "event_id": "who knows"}


@pytest.mark.parametrize("batch", [4, 11, 1_000])
def test_the_size_of_the_batches_does_not_change_the_rows(stream: Stream, telemetry: Telemetry, batch: int) -> None:
    stream.publish(*(telemetry.message(f"e{i % 25:02}", platform=f"copy {i // 25}") for i in range(30)))
    stream.publish(telemetry.garbage(), telemetry.message("x", event_name=None))

    done = drain(stream.driver(batch=batch))

    rows = stream.table("SELECT event_id, platform FROM telemetry.events ORDER BY event_id")
    assert [tuple(row.values()) for row in rows] == [(f"e{i:02}", "copy 0") for i in range(25)]
    assert (done["rows"], done["duplicates"], done["rejects"]) == (25, 5, 2)


def test_an_outage_of_the_warehouse_loses_nothing_and_uses_up_no_tries(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"), telemetry.garbage())
    stop = threading.Event()
    broken = RefusesAppends(stream.warehouse, REJECTS, times=2, then=stop.set)
    driver = stream.driver(warehouse=broken)

    with capture_logs() as logs:
        driver.run(stop)

    assert [entry["event"] for entry in logs] == ["rows not written", "rows not written"]
    assert "the disk is full" in logs[0]["reason"]
    done = asdict(driver.progress)
    assert (done["rows"], done["duplicates"], done["rejects"], done["batches"]) == (1, 0, 1, 1)
    assert stream.spool.depth() == 0


def test_when_told_to_stop_in_an_outage_the_batch_is_given_back(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"))
    stop = threading.Event()
    driver = stream.driver(warehouse=RefusesAppends(stream.warehouse, EVENTS, times=99))
    worker = threading.Thread(target=driver.run, args=[stop])

    with capture_logs():
        worker.start()
        stop.wait(0.3)
        stop.set()
        worker.join()

    (again,) = stream.spool.pull(max_messages=10, lease_s=1)
    assert again.attempt == 2


def test_draining_into_a_broken_warehouse_says_so_and_keeps_the_messages(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"))
    driver = stream.driver(warehouse=RefusesAppends(stream.warehouse, EVENTS, times=1))

    with pytest.raises(BadInput, match="the disk is full"):
        drain(driver)

    assert drain(stream.driver())["rows"] == 1


class LosesOne:
    """A graph with a hole in it."""

    def __init__(self, graph: EmbeddedRows) -> None:
        self._graph = graph

    def run(self, messages: Sequence[Message]) -> Any:
        return self._graph.run(messages[1:])


def test_a_batch_whose_results_do_not_add_up_is_not_written(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"), telemetry.message("b"))
    driver = stream.driver()
    driver.rows = LosesOne(stream.graph)  # type: ignore[assignment]

    with pytest.raises(RuntimeError, match="2 messages became 1 results"):
        drain(driver)

    assert stream.event_ids() == []
    assert stream.spool.depth() == 2


def test_players_are_told_after_their_rows_are_written(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a", user_pseudo_id="ann"), telemetry.message("b", user_pseudo_id="bob"))
    told: list[tuple[set[str], int]] = []
    driver = stream.driver()
    driver.on_players = lambda players: told.append((set(players), len(stream.event_ids())))

    drain(driver)

    assert told == [({"ann", "bob"}, 2)]


def test_progress_is_reported_when_it_changes_only(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"))
    reports: list[dict[str, int]] = []
    driver = stream.driver()
    driver.report = lambda facts: reports.append(dict(facts))

    for _ in range(3):
        drain(driver)

    (report,) = reports
    assert {name: count for name, count in report.items() if count} == {"rows": 1, "batches": 1}


def test_dead_letters_are_reported(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a"))
    for _ in range(5):
        held: list[Delivery] = stream.spool.pull(max_messages=1, lease_s=1)
        stream.spool.nack([delivery.ack_id for delivery in held])

    assert drain(stream.driver())["dead_letters"] == 1


def test_events_of_a_forgotten_player_are_dropped_and_counted(stream: Stream, telemetry: Telemetry) -> None:
    stream.publish(telemetry.message("a", user_pseudo_id="ann"), telemetry.message("b", user_pseudo_id="bob"))
    driver = stream.driver()
    driver.forgotten = Forgotten(stream.warehouse, PrivacyKey(b"0" * 32))
    Forgotten(stream.warehouse, PrivacyKey(b"0" * 32)).add("ann")  # by another process

    done = drain(driver)

    assert stream.event_ids() == ["b"]
    assert (done["rows"], done["forgotten"], done["backlog"]) == (1, 1, 0)


def test_late_and_early_events_keep_their_day_and_are_counted(stream: Stream, telemetry: Telemetry) -> None:
    hour_us, came = 3_600_000_000, 1_700_000_000_500_000
    for hours in (-73, -71, 22, 24):
        stream.publish(telemetry.message(f"{hours}", event_timestamp=came + hours * hour_us, event_date=None))
    stream.publish(telemetry.message("import", event_timestamp=came - 99 * hour_us, origin="import"))

    done = drain(stream.driver())

    assert (done["rows"], done["late"], done["ahead"]) == (5, 1, 1)
    days = stream.table("SELECT CAST(event_date AS STRING) AS day FROM telemetry.events WHERE event_id = '-73'")
    assert days == [{"day": "2023-11-11"}]
    assert stream.table("SELECT event_id FROM telemetry.events WHERE clock_ahead") == [{"event_id": "24"}]
