"""Kill the driver, the writer and the reader at random moments: every acknowledged event is one row, and nothing else is."""

# ruff: noqa: T201 - a run tells its seed, its counts and its verdict

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

import pytest

from questline_core.broker.port import open_broker
from questline_core.settings import Home
from questline_core.stack.children import free_ports
from questline_core.stack.supervisor import questline_command
from questline_core.testing.oracle import Oracle
from questline_core.warehouse.port import open_warehouse
from questline_ingest.testing import GatewayProcess, Sender

PATIENCE_S = 90.0
LEASE_S = 2.0
STREAM = {"QUESTLINE_STREAM_LEASE_S": str(LEASE_S), "QUESTLINE_STREAM_BATCH": "1000", "QUESTLINE_STREAM_WAIT_S": "0"}

READER = """
import sys
from questline_core.warehouse.port import open_warehouse
warehouse = open_warehouse(sys.argv[1])
while True:
    row = warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS ids FROM telemetry.events").to_pylist()[0]
    print(row["n"], row["ids"], flush=True)
"""


@dataclass(slots=True)
class Kills:
    """What was seen at the kills of one process."""

    at: list[int] = field(default_factory=list)
    """Events that were acknowledged, or rows or reads that were there, at each kill."""
    under_way: list[int] = field(default_factory=list)
    """Work that was begun and not ended at each kill."""


def read_rows(home: Path) -> int:
    with closing(open_warehouse(f"duckdb:{Home(home).warehouse}")) as warehouse:
        if "telemetry.events" not in warehouse.tables():
            return 0
        return warehouse.describe("telemetry.events").rows


def waiting(home: Path) -> int:
    with closing(open_broker(f"spool:{Home(home).spool}")) as broker:
        return broker.depth()


def until(met: Callable[[], bool], *, what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < give_up, f"never came: {what}"
        time.sleep(0.02)


@contextmanager
def child(*command: str, home: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "QUESTLINE_HOME": str(home), **settings}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Run:
    """One run: three processes, three killers, and what they saw."""

    def __init__(self, home: Path, *, events: int, kills: int, seed: int) -> None:
        self.home, self.kills, self.oracle = home, kills, Oracle(seed=seed, events=events)
        self.dice = Random(seed)
        (port, nobody) = free_ports(2)
        self.listen, self.nobody = f"127.0.0.1:{port}", f"127.0.0.1:{nobody}"
        self.writer, self.driver, self.reader = Kills(), Kills(), Kills()
        self.replayed, self.torn_reads = 0, 0
        self.failures = list[BaseException]()

    def start_gateway(self) -> GatewayProcess:
        gateway = GatewayProcess(self.home, self.listen, QUESTLINE_SPEND_ADDRESS=self.nobody)
        gateway.wait_ready(timeout_s=PATIENCE_S)
        return gateway

    def go(self) -> None:
        gateway = self.start_gateway()
        sender = Sender(self.oracle, self.listen, batch_size=250)
        threads = [sender, *(threading.Thread(target=self._guarded, args=(job,)) for job in (self.drive, self.read))]
        for thread in threads:
            thread.start()
        try:
            for moment in self._moments_until_a_replay(sender):
                until(lambda moment=moment: sender.acknowledged >= moment, what=f"{moment} acknowledgements")  # type: ignore[misc]
                time.sleep(self.dice.uniform(0, 0.02))
                self.writer.at.append(sender.acknowledged)
                self.writer.under_way.append(sender.begun - sender.acknowledged)
                gateway.end(signal.SIGKILL)
                gateway = self.start_gateway()
            for thread in threads:
                thread.join(5 * PATIENCE_S)
            assert sender.report is not None, "the client did not come to its end"
        finally:
            gateway.close()
        self.replayed = sender.report.recovered
        assert not self.failures, self.failures

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            self.failures.append(error)

    def drive(self) -> None:
        """Kill the stream at random moments of its work, and at last let it finish what is there."""
        for moment in self._moments(self.oracle.events):
            with child(*questline_command("stream", "run"), home=self.home, **STREAM) as process:
                until(
                    lambda moment=moment: read_rows(self.home) >= moment and waiting(self.home) > 0,  # type: ignore[misc]
                    what=f"{moment} rows",
                )
                time.sleep(self.dice.uniform(0, 0.1))
                process.kill()
                process.wait()
            self.driver.at.append(read_rows(self.home))
            self.driver.under_way.append(waiting(self.home))

    def read(self) -> None:
        """Kill a reader amid its questions; what it saw before must be whole."""
        until(lambda: read_rows(self.home) > 0, what="the first row")
        for _ in range(self.kills):
            with child(sys.executable, "-c", READER, f"duckdb:{Home(self.home).warehouse}", home=self.home) as process:
                assert process.stdout
                lines = [process.stdout.readline() for _ in range(self.dice.randint(2, 12))]
                time.sleep(self.dice.uniform(0, 0.02))
                self.reader.under_way.append(process.poll() is None)
                process.kill()
                lines += process.stdout.readlines()
            reads = [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]
            self.reader.at.append(len(reads))
            counts = [n for n, _ in reads]
            self.torn_reads += sum(n != ids for n, ids in reads) + (counts != sorted(counts))

    def drain(self) -> str:
        time.sleep(LEASE_S)  # what the dead driver held comes again
        command = [*questline_command("stream", "run"), "--until-idle"]
        environment = {**os.environ, "QUESTLINE_HOME": str(self.home), **STREAM}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=600)
        return ended.stdout.strip()

    def table(self) -> list[dict[str, object]]:
        with closing(open_warehouse(f"duckdb:{Home(self.home).warehouse}")) as warehouse:
            columns = (
                "event_id, event_name, user_pseudo_id, event_timestamp, event_bundle_sequence_id, event_value_in_usd"
            )
            return warehouse.query(f"SELECT {columns}, event_params FROM telemetry.events").to_pylist()  # noqa: S608

    def _moments_until_a_replay(self, sender: Sender) -> Iterator[int]:
        """Draw the moments for the gateway, and more while no answer was lost on its way yet."""
        yield from self._moments(self.oracle.events)
        while not sender.recovered and sender.acknowledged < self.oracle.events - 2_000:
            yield sender.acknowledged + 500

    def _moments(self, events: int) -> list[int]:
        """Draw moments, in events, one in each part of the run, and none at its very end."""
        step = events * 0.7 / self.kills
        return [int(number * step + self.dice.uniform(0.1, 0.9) * step) for number in range(self.kills)]


@pytest.mark.timeout(400)
def test_every_acknowledged_event_is_one_row_whatever_was_killed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def option(name: str, otherwise: int) -> int:
        given = request.config.getoption(name, default=None)
        return otherwise if given is None else int(given)

    seed = option("--fault-seed", SystemRandom().randrange(10**6))
    run = Run(tmp_path, events=option("--fault-events", 12_000), kills=option("--fault-kills", 2), seed=seed)

    run.go()
    drained = run.drain()
    judged = run.oracle.judge(run.table())

    print(f"\nseed {seed}: {judged}")
    print(f"gateway killed at {run.writer.at} acknowledged, {run.writer.under_way} under way; {run.replayed} replayed")
    print(f"stream killed at {run.driver.at} rows, {run.driver.under_way} waiting; at last: {drained}")
    print(f"reader killed after {run.reader.at} reads; torn reads: {run.torn_reads}")
    print("verdict:", "nothing lost, invented, doubled or changed" if judged.clean else "NOT CLEAN")
    assert judged.clean
    assert run.torn_reads == 0
    assert all(0 < at < judged.sent for at in run.writer.at), "a kill of the gateway did not land amid the work"
    assert all(run.writer.under_way)
    assert all(run.driver.under_way), "a kill of the stream did not land amid the work"
    assert all(run.reader.under_way)
    assert run.replayed > 0, "no kill lost an answer: nothing came twice"
