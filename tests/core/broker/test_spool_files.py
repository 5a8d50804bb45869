"""Files and folders that the spool cannot use are told, and hurt nothing else."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from questline_core.broker.port import open_broker
from questline_core.broker.spool import open_spool
from questline_core.broker.spool.database import PAGE_BYTES
from questline_core.errors import BadInput, NotReady
from questline_core.testing.broker_contract import drain, message
from questline_core.testing.spool_bench import SpoolBench, payloads

LEASE_S = 30.0


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BadInput, match=r"the spool's folder .* cannot be written .*; make it writable"):
        open_broker(f"spool:{tmp_path / 'file' / 'spool'}")


def test_a_read_only_folder_is_a_sentence(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(BadInput, match="Read-only file system"):
        open_spool(str(small_disk), process="gateway-0")


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + bytes(100)])
async def test_a_foreign_file_is_told_and_the_others_are_served(bench: SpoolBench, content: bytes) -> None:
    await bench.open(process="gateway-0").publish([message("a")])
    (bench.folder / "foreign.db").write_bytes(content * 100)
    consumer = bench.open()

    with capture_logs() as logs:
        assert drain(consumer) == ["a"]
        assert consumer.depth() == 0

    (told,) = logs
    assert told["event"] == "spool database left out"
    assert "foreign.db cannot be used as a spool database" in told["reason"]


async def test_a_database_of_another_program_is_left_alone(bench: SpoolBench) -> None:
    await bench.open(process="gateway-0").publish([message("a")])
    foreign = sqlite3.connect(bench.folder / "foreign.db")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()

    with capture_logs() as logs:
        assert drain(bench.open()) == ["a"]

    assert "its tables have version 0" in logs[0]["reason"]


async def test_a_database_damaged_while_in_use_is_told_and_the_others_are_served(bench: SpoolBench) -> None:
    broken = bench.open(process="broken")
    await broken.publish(payloads(100, 4_000))
    await bench.open(process="sound").publish([message("a")])
    broken.close()
    damage(bench.folder / "broken.db")

    with capture_logs() as logs:
        found = [d.message.data for d in bench.open().pull(max_messages=1_000, lease_s=LEASE_S)]

    assert found == [b"a"]
    assert "malformed" in logs[0]["reason"]


def test_a_publisher_whose_own_database_is_another_programs_says_so(bench: SpoolBench) -> None:
    bench.folder.mkdir()
    foreign = sqlite3.connect(bench.folder / "gateway-0.db")
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()

    with pytest.raises(BadInput, match=r"gateway-0.db cannot be used as a spool database .*; move it away"):
        bench.open(process="gateway-0")


async def test_a_publisher_moves_its_damaged_database_aside_and_goes_on(bench: SpoolBench) -> None:
    consumer, broken = bench.open(), bench.open(process="gateway-0")
    await broken.publish(payloads(100, 4_000))
    assert len(consumer.pull(max_messages=10, lease_s=LEASE_S)) == 10
    await bench.open(process="other").publish([message("of another")])
    broken.close()
    damaged = damage(bench.folder / "gateway-0.db")

    with capture_logs() as logs:
        mended = bench.open(process="gateway-0")
        await mended.publish([message("new")])

    assert drain(consumer) == ["new", "of another"]
    (told,) = [entry for entry in logs if entry["log_level"] == "critical"]
    assert told["event"] == "damaged spool database moved aside"
    (aside,) = bench.folder.glob("*.db.damaged-*[0-9]")
    assert (told["kept_as"], aside.read_bytes()) == (str(aside), damaged)
    with pytest.raises(NotReady, match=r"gateway-0.db.damaged-\d+ cannot be searched; delete it"):
        consumer.erase(lambda _: True)


async def test_a_damaged_group_in_two_hands_becomes_one_dead_letter(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([message(name) for name in "abcd"])
    spool.nack([d.ack_id for d in spool.pull(max_messages=2, lease_s=LEASE_S)])
    await spool.publish([message("e")])
    (reader,) = spool._all()
    reader._connection.execute("UPDATE groups SET data = x'ff' WHERE id = 1")

    assert drain(spool) == ["e"]

    assert (spool.dead_letters(), spool.depth()) == (1, 0)


async def test_a_database_that_was_deleted_is_served_no_longer(bench: SpoolBench) -> None:
    consumer, publisher = bench.open(), bench.open(process="gateway-0")
    await publisher.publish([message("a")])
    assert consumer.depth() == 1

    (bench.folder / "gateway-0.db").unlink()

    assert (consumer.depth(), drain(consumer)) == (0, [])


def damage(database: Path) -> bytes:
    """Overwrite all but the first two pages, and give what is there now."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    damaged = bytearray(database.read_bytes())
    damaged[2 * PAGE_BYTES :] = os.urandom(len(damaged) - 2 * PAGE_BYTES)
    database.write_bytes(damaged)
    return bytes(damaged)


def test_a_process_name_that_is_no_file_name_is_refused(bench: SpoolBench) -> None:
    with pytest.raises(BadInput, match="letters, digits, dots and dashes"):
        bench.open(process="../elsewhere")
