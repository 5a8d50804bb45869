"""Spools in temporary folders, with a clock that tests move."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from questline_core.broker.spool import Spool, open_spool
from questline_core.testing.pubsub_emulator import find_emulator, running_emulator

pytest.register_assert_rewrite("questline_core.testing.broker_contract")


class SpoolBench:
    """A spool in a folder, opened as often as a test likes."""

    short_lease_s = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1_000_000.0
        self._opened: list[Spool] = []

    @property
    def address(self) -> str:
        return f"spool:{self.folder}"

    def open(self, **options: Any) -> Spool:
        spool = open_spool(str(self.folder), clock=lambda: self.now, **options)
        self._opened.append(spool)
        return spool

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def close(self) -> None:
        for spool in self._opened:
            spool.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SpoolBench]:
    bench = SpoolBench(tmp_path / "spool")
    yield bench
    bench.close()


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


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = find_emulator()
    if not command:
        pytest.skip("needs Java and gcloud's component pubsub-emulator")
    with running_emulator(command, tmp_path_factory.mktemp("emulator") / "log") as endpoint:
        yield endpoint
