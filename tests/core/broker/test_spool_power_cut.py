"""A power cut may forget what was not synced: all that was answered before is there, and nothing is there by half."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from questline_core.broker.spool import open_spool
from questline_core.testing.broker_contract import drain, message
from questline_core.testing.spool_bench import SpoolBench


@pytest.mark.parametrize("forgotten", ["cut off", "zeros", "noise", "a page in the middle"])
async def test_writes_that_the_disk_forgot_after_the_last_answer_cost_no_answered_message(
    bench: SpoolBench, tmp_path: Path, forgotten: str
) -> None:
    spool, log = bench.open(process="gateway-0"), bench.folder / "gateway-0.db-wal"
    for i in range(5):
        await spool.publish([message(f"answered{i}-{j}") for j in range(50)])
    synced = log.stat().st_size
    await spool.publish([message(f"late{j}") for j in range(2_000)])
    content = log.read_bytes()
    assert len(content) > synced + 20_000
    lost = {
        "cut off": content[: random.Random(1).randrange(synced, len(content))],
        "zeros": content[:synced] + bytes(len(content) - synced),
        "noise": content[:synced] + os.urandom(len(content) - synced),
        "a page in the middle": content[: synced + 8_192] + os.urandom(4_096) + content[synced + 12_288 :],
    }[forgotten]

    after = tmp_path / "after"
    after.mkdir()
    shutil.copy(bench.folder / "gateway-0.db", after)
    (after / "gateway-0.db-wal").write_bytes(lost)
    survivor = open_spool(str(after), process="gateway-0")

    assert drain(survivor) == sorted(f"answered{i}-{j}" for i in range(5) for j in range(50))
    await survivor.publish([message("next")])
    assert drain(survivor) == ["next"]
    survivor.close()
