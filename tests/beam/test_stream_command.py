"""`questline stream run` as a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from questline_core.broker.port import Message
from questline_core.broker.spool import open_spool
from questline_core.features.store import open_reader
from questline_core.processes import read_ready
from questline_core.settings import Home
from questline_core.stack.supervisor import questline_command
from questline_core.warehouse.port import open_warehouse

COMMAND = questline_command("stream", "run")
PATIENCE_S = 60.0


class Telemetry(Protocol):
    def message(self, name: str, **fields: object) -> Message: ...
    def garbage(self, data: bytes = b"") -> Message: ...


def environment(home: Path, **settings: str) -> dict[str, str]:
    return {**os.environ, "QUESTLINE_HOME": str(home), **settings}


@contextmanager
def running(home: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        COMMAND, env=environment(home, **settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def drain(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--until-idle"], env=environment(home, **settings), capture_output=True, text=True, check=False
    )


def publish(home: Path, *messages: Message) -> None:
    spool = open_spool(str(Home(home).spool), process="gateway-0")
    asyncio.run(spool.publish(messages))
    spool.close()


def wait_for(home: Path, there: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        ready = read_ready(Home(home).run, "stream") or {}
        if there(ready):
            return ready
        time.sleep(0.05)
    raise AssertionError("the stream never announced it")


def test_it_announces_its_counters_and_ends_cleanly_when_told(tmp_path: Path, telemetry: Telemetry) -> None:
    publish(tmp_path, telemetry.message("a"), telemetry.message("a"), telemetry.garbage())
    with running(tmp_path) as process:
        facts = wait_for(tmp_path, lambda facts: facts.get("batches") == 1)
        assert (facts["pid"], facts["rows"], facts["duplicates"], facts["rejects"]) == (process.pid, 1, 1, 1)
        publish(tmp_path, telemetry.message("b"))
        wait_for(tmp_path, lambda facts: facts.get("batches") == 2)

        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, output) == (0, "")
    first, last = map(json.loads, errors.splitlines())
    assert (first["event"], last["event"], last["process"]) == ("stream ready", "stream stopped", "stream")
    assert {"rows": 2, "duplicates": 1, "rejects": 1, "batches": 2, "backlog": 0}.items() <= last.items()
    assert read_ready(Home(tmp_path).run, "stream") is None


def test_a_kill_loses_nothing_and_doubles_nothing(tmp_path: Path, telemetry: Telemetry) -> None:
    publish(tmp_path, *(telemetry.message(f"e{i}", user_pseudo_id=f"p{i % 5}") for i in range(20_000)))
    settings = {"QUESTLINE_STREAM_BATCH": "500", "QUESTLINE_STREAM_LEASE_S": "1", "QUESTLINE_STREAM_WAIT_S": "0"}
    with running(tmp_path, **settings) as process:
        before = wait_for(tmp_path, lambda facts: facts.get("batches", 0) >= 1)
        process.kill()
        process.wait()
    assert before["backlog"] > 0
    time.sleep(1.1)  # what the dead process held comes again when its lease ends

    drained = drain(tmp_path)

    assert (drained.returncode, drained.stderr) == (0, "")
    assert "0 messages wait" in drained.stdout
    warehouse = open_warehouse(f"duckdb:{Home(tmp_path).warehouse}")
    counts = warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM telemetry.events").to_pylist()
    warehouse.close()
    assert counts == [{"n": 20_000, "ids": 20_000}]
    with open_reader(Home(tmp_path).features) as features:
        state = features.get("p3")
    assert state is not None
    assert state.events == 4_000


@pytest.mark.parametrize("part", ["spool", "warehouse", "features"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, part: str) -> None:
    (tmp_path / part).write_text("a file where a folder should be")

    refused = drain(tmp_path)

    assert refused.returncode == 1
    assert "cannot" in refused.stderr
    assert str(tmp_path) in refused.stderr
    assert "Traceback" not in refused.stderr


def test_help_does_not_load_beam() -> None:
    code = "import sys; from questline_core.cli import questline; questline(['stream', 'run', '--help'], standalone_mode=False); print('apache_beam' in sys.modules)"

    shown = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    assert "--until-idle" in shown.stdout
    assert shown.stdout.endswith("False\n")
