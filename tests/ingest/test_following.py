"""The process beside a gateway: a real one, which follows a warehouse that another process writes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

from questline_core.features.store import open_reader
from questline_core.stack.supervisor import questline_command
from questline_core.testing.event_tables import MONDAY, an_event, fill
from questline_core.warehouse.port import open_warehouse

PATIENCE_S = 60


def until_known(home: Path, player: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    with open_reader(home / "features") as store:
        while store.get(player) is None:
            assert time.monotonic() < give_up, f"{player} never came"
            time.sleep(0.05)


def test_a_gateways_features_follow_the_warehouse(tmp_path: Path) -> None:
    command = questline_command("gateway", "follow", "--every", "1")
    environment = {**os.environ, "QUESTLINE_HOME": str(tmp_path)}
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as warehouse:
        fill(warehouse, [an_event("anna", MONDAY, "level_start")])
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                until_known(tmp_path, "anna")
                fill(warehouse, [an_event("bert", MONDAY, "level_start")])
                until_known(tmp_path, "bert")
            finally:
                process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert '"players": 1' in told
