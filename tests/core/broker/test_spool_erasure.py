"""What is erased from the spool is on no page of its files, and a crash loses nothing else."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from questline_core.broker.port import EVENT, MAX_ATTEMPTS, Message
from questline_core.errors import NotReady
from questline_core.testing.broker_contract import drain, message
from questline_core.testing.spool_bench import SpoolBench

LEASE_S = 30.0
PLAYER = b"7f3a9c0e51d24b86"


def of_player(name: str, size: int = 2_000) -> Message:
    return Message(data=(PLAYER + name.encode()) * (size // 20), attributes={"kind": EVENT, "id": name})


def mixed(count: int) -> list[Message]:
    return [of_player(f"p{i}") if i % 3 == 0 else message(f"m{i}") for i in range(count)]


def is_players(found: Message) -> bool:
    return PLAYER in found.data


def on_disk(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if PLAYER in path.read_bytes()]


async def test_bytes_of_waiting_held_dead_and_long_consumed_messages_are_gone_from_the_files(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([of_player(f"dead{i}") for i in range(5)])
    for _ in range(MAX_ATTEMPTS):
        spool.nack([d.ack_id for d in spool.pull(max_messages=10, lease_s=LEASE_S)])
    await spool.publish(mixed(2_000))
    spool.ack([d.ack_id for d in spool.pull(max_messages=1_500, lease_s=LEASE_S)][:1_200])
    await spool.publish(mixed(300))
    assert on_disk(bench.folder)

    erased = spool.erase(is_players)

    assert on_disk(bench.folder) == []
    waiting = sum(1 for i in range(1_200, 2_000) if i % 3 == 0) + sum(1 for i in range(300) if i % 3 == 0)
    assert erased == waiting + 5
    bench.now += LEASE_S + 1
    left = [i for i in range(1_200, 2_000) if i % 3] + [i for i in range(300) if i % 3]
    assert drain(spool) == sorted(f"m{i}" for i in left)


async def test_a_publisher_goes_on_while_messages_are_erased(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish(mixed(300))
    bench.open().erase(is_players)
    await spool.publish([message("after")])

    assert len(drain(spool)) == 201


async def test_a_reader_that_keeps_the_log_is_told_and_a_second_try_succeeds(
    bench: SpoolBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("questline_core.broker.spool.database.BUSY_TIMEOUT_S", 0.1)
    spool = bench.open(process="gateway-0")
    await spool.publish(mixed(300))
    reading = bench.open()
    (reader,) = reading._all()
    rows = reader._connection.execute("SELECT id FROM groups UNION ALL SELECT id FROM commits")
    rows.fetchone()

    with pytest.raises(NotReady, match=r"may still hold messages to be erased .*; try again"):
        spool.erase(is_players)
    rows.close()
    spool.erase(is_players)

    assert on_disk(bench.folder) == []


def kill_after(seconds: float, code: str) -> bool:
    """Run code that prints a line when it begins, kill it then, and tell whether it was killed before it was done."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        return "done" not in process.stdout.read() and process.wait() == -signal.SIGKILL


async def test_a_crash_while_erasing_leaves_every_other_message_and_a_second_run_ends_it(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    for _ in range(30):
        await spool.publish(mixed(100))
    spool.close()
    code = (
        "from questline_core.broker.port import open_broker; import sys\n"
        f"broker = open_broker('spool:{bench.folder}'); print('begins', flush=True)\n"
        f"broker.erase(lambda found: {PLAYER!r} in found.data); print('done', flush=True)"
    )
    random_moments = random.Random(4)

    killed = [kill_after(random_moments.uniform(0, 0.02), code) for _ in range(8)]

    assert any(killed)
    survivor = bench.open()
    survivor.erase(is_players)

    assert on_disk(bench.folder) == []
    assert drain(survivor) == sorted([f"m{i}" for i in range(100) if i % 3] * 30)


async def test_a_damaged_group_is_told_because_it_cannot_be_searched(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([message("a")])
    (reader,) = spool._all()
    reader._connection.execute("UPDATE groups SET data = x'ff'")

    with pytest.raises(NotReady, match="a commit group has changed since it was written"):
        spool.erase(is_players)


async def test_a_group_that_is_erased_while_it_is_handed_out_is_passed_over(bench: SpoolBench) -> None:
    spool = bench.open(process="gateway-0")
    await spool.publish([of_player("p")])
    (reader,) = spool._all()

    def erase_before_the_group_is_read(statement: str) -> None:
        if "FROM groups" in statement:
            reader._connection.set_trace_callback(None)
            bench.open().erase(is_players)

    reader._connection.set_trace_callback(erase_before_the_group_is_read)

    assert spool.pull(max_messages=10, lease_s=LEASE_S) == []
