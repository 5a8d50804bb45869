"""Spools in temporary folders, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from questline_core.testing.pubsub_emulator import emulator_or_skip
from questline_core.testing.spool_bench import SpoolBench, mounted_disk

pytest.register_assert_rewrite("questline_core.testing.broker_contract")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SpoolBench]:
    bench = SpoolBench(tmp_path / "spool")
    yield bench
    bench.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted_disk(tmp_path / "disk") as folder:
        if not folder:
            pytest.skip("a small disk can be mounted by root only")
        yield folder


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator_or_skip(tmp_path_factory.mktemp("emulator") / "log") as endpoint:
        yield endpoint
