"""What the spool promises beyond the rules of every broker."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from questline_core.broker.port import MAX_ATTEMPTS, MESSAGE_ID, REJECT, Message
from questline_core.broker.spool import positions, writer
from questline_core.testing.broker_contract import drain, message, names
from questline_core.testing.spool_bench import SpoolBench, payloads

LEASE_S = 30.0


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


# Durability


async def test_commits_are_synced_to_the_disk(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    own = spool._writer
    assert own is not None

    assert own._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert own._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_many_waiting_publishes_share_few_commits(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")

    await asyncio.gather(*(spool.publish([message(f"m{i}")]) for i in range(2_000)))

    assert rows(bench.folder / "gateway-0.db", "SELECT count(*) FROM groups")[0][0] < 20  # type: ignore[operator]
    assert spool.depth() == 2_000


async def test_the_event_loop_goes_on_while_a_commit_waits(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    lock = sqlite3.connect(bench.folder / "gateway-0.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    publishing = asyncio.create_task(spool.publish([message("a")]))
    longest = 0.0
    for _ in range(20):
        started = time.perf_counter()
        await asyncio.sleep(0.01)
        longest = max(longest, time.perf_counter() - started)

    assert not publishing.done()
    lock.execute("COMMIT")
    lock.close()
    await publishing
    assert longest < 0.2


async def test_closing_commits_what_waits(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    publishing = [asyncio.create_task(spool.publish([message(f"m{i}")])) for i in range(50)]
    await asyncio.sleep(0)

    spool.close()
    await asyncio.gather(*publishing)

    assert bench.open().depth() == 50


async def test_a_large_publish_is_stored_in_rows_that_are_read_one_by_one(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    batch = payloads(2_500, 1_000)

    await spool.publish(batch)

    assert rows(bench.folder / "gateway-0.db", "SELECT count(*), max(length(data)) < 1100000 FROM groups") == [(3, 1)]
    assert [d.message.data for d in spool.pull(max_messages=3_000, lease_s=LEASE_S)] == [m.data for m in batch]


# Consumers and databases


async def test_databases_of_all_processes_are_served_also_new_and_orphaned_ones(bench: SpoolBench) -> None:
    consumer = bench.open()
    dead = bench.open(process="gateway-0")
    await dead.publish([message("old")])
    dead.close()
    assert names(consumer.pull(max_messages=10, lease_s=LEASE_S)) == ["old"]

    await bench.open(process="gateway-1").publish([message("new")])

    assert names(consumer.pull(max_messages=10, lease_s=LEASE_S)) == ["new"]
    assert consumer.depth() == 2


async def test_a_busy_process_does_not_hide_the_others(bench: SpoolBench) -> None:
    await bench.open(process="a").publish([message(f"busy{i}") for i in range(100)])
    await bench.open(process="b").publish([message("quiet")])
    consumer = bench.open()

    first, second = (names(consumer.pull(max_messages=10, lease_s=LEASE_S)) for _ in range(2))

    assert "quiet" in first + second


async def test_a_part_of_a_group_is_held_alone(bench: SpoolBench) -> None:
    consumer = bench.open(process="gateway-0")
    await consumer.publish([message(f"m{i:02}") for i in range(10)])
    parts = [consumer.pull(max_messages=4, lease_s=LEASE_S) for _ in range(3)]
    consumer.nack([parts[0][1].ack_id, parts[0][3].ack_id])
    consumer.ack([d.ack_id for part in parts for d in part])

    again = consumer.pull(max_messages=10, lease_s=LEASE_S)

    assert [len(part) for part in parts] == [4, 4, 2]
    assert [(d.message.data, d.attempt) for d in again] == [(b"m01", 2), (b"m03", 2)]


def test_processes_that_open_one_new_database_together_agree(bench: SpoolBench) -> None:
    code = (
        "import asyncio; from questline_core.broker.port import open_broker\n"
        "from questline_core.testing.broker_contract import message\n"
        f"b = open_broker('spool:{bench.folder}', process='same')\n"
        "asyncio.run(b.publish([message('m')])); b.depth(); b.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert bench.open().depth() == 4


async def test_dead_letters_keep_payload_attributes_and_reason(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([message("poison"), message("good")])
    for _ in range(MAX_ATTEMPTS):
        spool.nack([d.ack_id for d in spool.pull(max_messages=10, lease_s=LEASE_S) if d.message.data == b"poison"])
    kept = rows(
        bench.folder / "gateway-0.db", "SELECT payload, attributes, attempts, reason, time_micros FROM dead_letters"
    )

    assert spool.dead_letters() == 1
    assert kept[0][0] == b"poison"
    assert json.loads(str(kept[0][1])) == dict(message("poison").attributes)
    assert kept[0][2:] == (MAX_ATTEMPTS, "it was given back every time", 1_000_000_000_000)


async def test_a_group_that_cannot_be_read_becomes_a_dead_letter(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([message("a")])
    await spool.publish([message("b")])
    rows_changed = sqlite3.connect(bench.folder / "gateway-0.db", isolation_level=None)
    rows_changed.execute("UPDATE groups SET data = x'ff' WHERE id = 1")
    rows_changed.close()

    assert drain(spool) == ["b"]
    assert (spool.depth(), spool.dead_letters()) == (0, 1)


async def test_a_new_spool_in_the_place_of_an_old_one_gives_other_message_ids(bench: SpoolBench) -> None:
    ids: set[str] = set()
    for _ in range(2):
        spool = bench.open(process="gateway-0")
        await spool.publish([message("a")])
        ids |= {d.message.attributes[MESSAGE_ID] for d in spool.pull(max_messages=10, lease_s=LEASE_S)}
        spool.close()
        shutil.rmtree(bench.folder)

    assert len(ids) == 2


# Duplicates across restarts


async def test_ids_of_events_are_known_after_they_were_consumed_and_after_a_restart(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    for name in ("a", "b", "c"):
        await spool.publish([message(name), Message(data=b"", attributes={"kind": REJECT, "id": f"not {name}"})])
    drain(spool)
    spool.close()

    restarted = bench.open(process="gateway-0")

    assert restarted.recent_ids(100) == ["a", "b", "c"]
    assert restarted.recent_ids(2) == ["b", "c"]
    assert restarted.recent_ids(0) == []


async def test_recent_ids_of_other_processes_are_known_too(bench: SpoolBench) -> None:
    one, two = bench.open(process="gateway-0"), bench.open(process="gateway-1")
    await one.publish([message("a")])
    await two.publish([message("b")])
    await one.publish([message("c")])

    assert bench.open().recent_ids(10) == ["a", "b", "c"]


async def test_only_the_newest_ids_are_kept(bench: SpoolBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "KEPT_IDS", 25)
    spool = bench.open(process="gateway-0")
    for i in range(10):
        await spool.publish([message(f"m{i}-{j}") for j in range(10)])

    assert rows(bench.folder / "gateway-0.db", "SELECT sum(events), min(id) FROM commits") == [(30, 8)]
    assert spool.recent_ids(1_000)[0] == "m7-0"


async def test_delivery_goes_on_when_ids_were_forgotten(bench: SpoolBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "KEPT_IDS", 1)
    spool = bench.open(process="gateway-0")
    for i in range(5):
        await spool.publish([message(f"m{i}")])
        assert drain(spool) == [f"m{i}"]


@pytest.mark.parametrize(("members", "text"), [(range(1_000), "0-999"), ([3, 7, 8, 9], "3,7-9"), ([5], "5")])
def test_positions_are_short_text_and_come_back(members: Sequence[int], text: str) -> None:
    assert positions.to_text(members) == text
    assert list(positions.from_text(text)) == list(members)
