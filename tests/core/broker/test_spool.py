"""What the spool promises beyond the rules of every broker."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from structlog.testing import capture_logs

from questline_core.broker.attributes import MESSAGE_ID
from questline_core.broker.port import EVENT, MAX_ATTEMPTS, REJECT, Message, open_broker
from questline_core.broker.spool import Spool, open_spool, writer
from questline_core.errors import BadInput, BrokerFull
from questline_core.testing.broker_contract import drain, message, names

LEASE_S = 30.0


class Bench(Protocol):
    folder: Path

    def open(self, **options: object) -> Spool: ...
    def pass_time(self, seconds: float) -> None: ...


def rows(database: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def payloads(count: int, size: int) -> list[Message]:
    return [Message(data=os.urandom(size), attributes={"kind": EVENT, "id": f"p{i}"}) for i in range(count)]


async def fill(spool: Spool, batch: Sequence[Message], *, at_most: int) -> int:
    """Publish the batch again and again until it is refused; gives how often it was taken."""
    for taken in range(at_most):
        try:
            await spool.publish(batch)
        except BrokerFull:
            return taken
    raise AssertionError(f"never full after {at_most} batches")


# Durability


async def test_commits_are_synced_to_the_disk(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    own = spool._writer
    assert own is not None

    assert own._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert own._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_many_waiting_publishes_share_few_commits(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")

    await asyncio.gather(*(spool.publish([message(f"m{i}")]) for i in range(2_000)))

    assert rows(bench.folder / "gateway-0.db", "SELECT count(*) FROM groups")[0][0] < 20  # type: ignore[operator]
    assert spool.depth() == 2_000


async def test_the_event_loop_goes_on_while_a_commit_waits(bench: Bench) -> None:
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


async def test_a_caller_that_gives_up_does_not_disturb_the_others(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    impatient = asyncio.create_task(spool.publish([message("a")]))
    patient = asyncio.create_task(spool.publish([message("b")]))
    await asyncio.sleep(0)
    impatient.cancel()

    await patient

    assert "b" in drain(spool)


async def test_a_message_that_cannot_be_stored_leaves_the_spool_working(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    with pytest.raises(BrokerFull, match="TypeError"):
        await spool.publish([Message(data=b"", attributes={"id": 5})])  # type: ignore[dict-item]

    await spool.publish([message("a")])

    assert drain(spool) == ["a"]


async def test_closing_commits_what_waits(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    publishing = [asyncio.create_task(spool.publish([message(f"m{i}")])) for i in range(50)]
    await asyncio.sleep(0)

    spool.close()
    await asyncio.gather(*publishing)

    assert bench.open().depth() == 50


async def test_a_large_publish_is_stored_in_rows_that_are_read_one_by_one(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    batch = payloads(2_500, 1_000)

    await spool.publish(batch)

    assert rows(bench.folder / "gateway-0.db", "SELECT count(*), max(length(body)) < 1100000 FROM groups") == [(3, 1)]
    assert [d.message.data for d in spool.pull(max_messages=3_000, lease_s=LEASE_S)] == [m.data for m in batch]


# Consumers and databases


async def test_databases_of_all_processes_are_served_also_new_and_orphaned_ones(bench: Bench) -> None:
    consumer = bench.open()
    dead = bench.open(process="gateway-0")
    await dead.publish([message("old")])
    dead.close()
    assert names(consumer.pull(max_messages=10, lease_s=LEASE_S)) == ["old"]

    await bench.open(process="gateway-1").publish([message("new")])

    assert names(consumer.pull(max_messages=10, lease_s=LEASE_S)) == ["new"]
    assert consumer.depth() == 2


async def test_a_busy_process_does_not_hide_the_others(bench: Bench) -> None:
    await bench.open(process="a").publish([message(f"busy{i}") for i in range(100)])
    await bench.open(process="b").publish([message("quiet")])
    consumer = bench.open()

    first, second = (names(consumer.pull(max_messages=10, lease_s=LEASE_S)) for _ in range(2))

    assert "quiet" in first + second


async def test_a_part_of_a_group_is_held_alone(bench: Bench) -> None:
    consumer = bench.open(process="gateway-0")
    await consumer.publish([message(f"m{i:02}") for i in range(10)])
    parts = [consumer.pull(max_messages=4, lease_s=LEASE_S) for _ in range(3)]
    consumer.nack([parts[0][1].ack_id, parts[0][3].ack_id])
    consumer.ack([d.ack_id for part in parts for d in part])

    again = consumer.pull(max_messages=10, lease_s=LEASE_S)

    assert [len(part) for part in parts] == [4, 4, 2]
    assert [(d.message.data, d.attempt) for d in again] == [(b"m01", 2), (b"m03", 2)]


def test_processes_that_open_one_new_database_together_agree(bench: Bench) -> None:
    code = (
        "import asyncio; from questline_core.broker.port import open_broker\n"
        "from questline_core.testing.broker_contract import message\n"
        f"b = open_broker('spool:{bench.folder}', process='same')\n"
        "asyncio.run(b.publish([message('m')])); b.depth(); b.close()"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]

    assert [process.wait() for process in processes] == [0] * 4
    assert bench.open().depth() == 4


async def test_dead_letters_keep_payload_attributes_and_reason(bench: Bench) -> None:
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


async def test_a_group_that_cannot_be_read_becomes_a_dead_letter(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([message("a")])
    await spool.publish([message("b")])
    rows_changed = sqlite3.connect(bench.folder / "gateway-0.db", isolation_level=None)
    rows_changed.execute("UPDATE groups SET body = x'ff' WHERE id = 1")
    rows_changed.close()

    assert drain(spool) == ["b"]
    assert (spool.depth(), spool.dead_letters()) == (0, 1)


async def test_a_new_spool_in_the_place_of_an_old_one_gives_other_message_ids(bench: Bench) -> None:
    ids: set[str] = set()
    for _ in range(2):
        spool = bench.open(process="gateway-0")
        await spool.publish([message("a")])
        ids |= {d.message.attributes[MESSAGE_ID] for d in spool.pull(max_messages=10, lease_s=LEASE_S)}
        spool.close()
        shutil.rmtree(bench.folder)

    assert len(ids) == 2


# Duplicates across restarts


async def test_ids_of_events_are_known_after_they_were_consumed_and_after_a_restart(bench: Bench) -> None:
    spool = bench.open(process="gateway-0")
    for name in ("a", "b", "c"):
        await spool.publish([message(name), Message(data=b"", attributes={"kind": REJECT, "id": f"not {name}"})])
    drain(spool)
    spool.close()

    restarted = bench.open(process="gateway-0")

    assert restarted.recent_ids(100) == ["a", "b", "c"]
    assert restarted.recent_ids(2) == ["b", "c"]
    assert restarted.recent_ids(0) == []


async def test_recent_ids_of_other_processes_are_known_too(bench: Bench) -> None:
    one, two = bench.open(process="gateway-0"), bench.open(process="gateway-1")
    await one.publish([message("a")])
    await two.publish([message("b")])
    await one.publish([message("c")])

    assert bench.open().recent_ids(10) == ["a", "b", "c"]


async def test_only_the_newest_ids_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "KEPT_IDS", 25)
    spool = bench.open(process="gateway-0")
    for i in range(10):
        await spool.publish([message(f"m{i}-{j}") for j in range(10)])

    assert rows(bench.folder / "gateway-0.db", "SELECT sum(events), min(id) FROM commits") == [(30, 8)]
    assert spool.recent_ids(1_000)[0] == "m7-0"


async def test_delivery_goes_on_when_ids_were_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "KEPT_IDS", 1)
    spool = bench.open(process="gateway-0")
    for i in range(5):
        await spool.publish([message(f"m{i}")])
        assert drain(spool) == [f"m{i}"]


# Space


async def test_the_file_shrinks_after_consumption(bench: Bench) -> None:
    spool, database = bench.open(process="gateway-0"), bench.folder / "gateway-0.db"
    for _ in range(50):
        await spool.publish(payloads(100, 10_000))
    full = database.stat().st_size
    while deliveries := spool.pull(max_messages=1_000, lease_s=LEASE_S):
        spool.ack([d.ack_id for d in deliveries])

    assert full > 45 << 20
    assert database.stat().st_size < 18 << 20
    assert database.with_name("gateway-0.db-wal").stat().st_size < 6 << 20


async def test_a_spool_at_its_limit_refuses_whole_batches_until_something_is_consumed(bench: Bench) -> None:
    spool, batch = bench.open(process="gateway-0", max_bytes=4 << 20), payloads(100, 4_000)
    taken = await fill(spool, batch, at_most=20)

    with pytest.raises(BrokerFull) as refusal:
        await spool.publish(batch)

    assert refusal.value.retry_after_s > 0
    assert "gateway-0.db takes no more events now" in str(refusal.value)
    assert spool.depth() == taken * 100
    assert len(drain_all(spool)) == taken * 100
    await spool.publish(batch)
    assert spool.depth() == 100


def drain_all(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    while deliveries := spool.pull(max_messages=1_000, lease_s=LEASE_S):
        spool.ack([d.ack_id for d in deliveries])
        found += [d.message.data for d in deliveries]
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    mounted = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_refuses_and_goes_on_after_consumption(small_disk: Path) -> None:
    spool, batch = open_spool(str(small_disk / "spool"), process="gateway-0"), payloads(100, 4_000)
    taken = await fill(spool, batch, at_most=100)

    assert taken > 10
    assert len(drain_all(spool)) == taken * 100
    await spool.publish(batch)
    assert spool.depth() == 100
    spool.close()


async def test_a_disk_that_another_program_filled_refuses_until_there_is_space(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FREE_BYTES", 0)  # so that SQLite itself meets the full disk
    spool, batch = open_spool(str(small_disk / "spool"), process="gateway-0"), payloads(100, 4_000)
    await spool.publish(batch)
    with (small_disk / "other").open("wb") as other, pytest.raises(OSError, match="No space"):
        other.write(bytes(30 << 20))

    await fill(spool, batch, at_most=30)
    before = spool.depth()
    with pytest.raises(BrokerFull):
        await spool.publish(batch)
    assert spool.depth() == before

    (small_disk / "other").unlink()
    await spool.publish(batch)
    assert len(drain_all(spool)) == before + 100
    spool.close()


# Files that cannot be used


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match=r"the spool's folder .* cannot be written .*; make it writable"):
        open_broker(f"spool:{tmp_path / 'file' / 'spool'}")


def test_a_read_only_folder_is_a_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(BadInput, match="Read-only file system"):
        open_spool(str(small_disk), process="gateway-0")


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + bytes(100)])
async def test_a_foreign_file_is_told_and_the_others_are_served(bench: Bench, content: bytes) -> None:
    await bench.open(process="gateway-0").publish([message("a")])
    (bench.folder / "foreign.db").write_bytes(content * 100)
    consumer = bench.open()

    with capture_logs() as logs:
        assert drain(consumer) == ["a"]
        assert consumer.depth() == 0

    (told,) = logs
    assert told["event"] == "spool database left out"
    assert "foreign.db cannot be used as a spool database" in told["reason"]


async def test_a_database_of_another_program_is_left_alone(bench: Bench) -> None:
    await bench.open(process="gateway-0").publish([message("a")])
    foreign = sqlite3.connect(bench.folder / "foreign.db")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()

    with capture_logs() as logs:
        assert drain(bench.open()) == ["a"]

    assert "its tables have version 0" in logs[0]["reason"]


async def test_a_database_damaged_while_in_use_is_told_and_the_others_are_served(bench: Bench) -> None:
    broken = bench.open(process="broken")
    await broken.publish(payloads(100, 4_000))
    await bench.open(process="sound").publish([message("a")])
    broken.close()
    damaged = bytearray((bench.folder / "broken.db").read_bytes())
    damaged[4096 * 2 :] = os.urandom(len(damaged) - 4096 * 2)
    (bench.folder / "broken.db").write_bytes(damaged)

    with capture_logs() as logs:
        found = [d.message.data for d in bench.open().pull(max_messages=1_000, lease_s=LEASE_S)]

    assert found == [b"a"]
    assert "malformed" in logs[0]["reason"]


def test_a_publisher_whose_own_database_is_foreign_says_so(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "gateway-0.db").write_bytes(b"not a database" * 1_000)

    with pytest.raises(BadInput, match=r"gateway-0.db cannot be used as a spool database .*; move it away"):
        bench.open(process="gateway-0")


def test_a_process_name_that_is_no_file_name_is_refused(bench: Bench) -> None:
    with pytest.raises(BadInput, match="letters, digits, dots and dashes"):
        bench.open(process="../elsewhere")
