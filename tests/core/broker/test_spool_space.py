"""The spool gives space back, and refuses what it has no space for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from questline_core.broker.port import Message
from questline_core.broker.spool import Spool, open_spool, reader, writer
from questline_core.errors import BrokerFull
from questline_core.testing.spool_bench import SpoolBench, payloads

LEASE_S = 30.0


async def fill(spool: Spool, batch: Sequence[Message], *, at_most: int) -> int:
    """Publish the batch again and again until it is refused; gives how often it was taken."""
    for taken in range(at_most):
        try:
            await spool.publish(batch)
        except BrokerFull:
            return taken
    raise AssertionError(f"never full after {at_most} batches")


async def test_the_file_shrinks_after_consumption(bench: SpoolBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "KEPT_FREE_BYTES", 4 << 20)
    monkeypatch.setattr(reader, "VACUUM_BYTES", 8 << 20)
    spool, database = bench.open(process="gateway-0"), bench.folder / "gateway-0.db"
    for _ in range(50):
        await spool.publish(payloads(100, 10_000))
    full = database.stat().st_size
    while deliveries := spool.pull(max_messages=1_000, lease_s=LEASE_S):
        spool.ack([d.ack_id for d in deliveries])

    assert full > 45 << 20
    assert database.stat().st_size < 18 << 20
    assert database.with_name("gateway-0.db-wal").stat().st_size < 6 << 20


async def test_a_spool_at_its_limit_refuses_whole_batches_until_something_is_consumed(bench: SpoolBench) -> None:
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
