"""Kill the gateway with -9 at random moments, run after run: what it acknowledged is stored once, as it was sent."""

# ruff: noqa: T201 - a run tells its seed, its counts and its verdict

from __future__ import annotations

import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random, SystemRandom

import pytest

from questline_core.broker.port import open_broker
from questline_core.pb.telemetry_pb2 import Event
from questline_core.settings import Home
from questline_core.stack.children import free_ports
from questline_core.testing.oracle import Oracle
from questline_ingest.testing import GatewayProcess, Sender

PATIENCE_S = 120.0


class Run:
    """One gateway, one client, and a kill amid the work."""

    def __init__(self, home: Path, oracle: Oracle, dice: Random) -> None:
        self.home, self.oracle, self.dice = home, oracle, dice
        port, nobody = free_ports(2)
        self.listen, self.nobody = f"127.0.0.1:{port}", f"127.0.0.1:{nobody}"
        self.sender = Sender(oracle, self.listen, batch_size=100, give_up_after_s=PATIENCE_S)
        self.under_way: list[int] = []

    def go(self, *, until_a_replay: bool) -> None:
        gateway, sender = self._start(), self.sender
        sender.start()
        try:
            moment = int(self.dice.uniform(0.05, 0.6) * self.oracle.events)
            while self._wait(moment):
                self.under_way.append(sender.begun - sender.acknowledged)
                gateway.end(signal.SIGKILL)
                gateway = self._start()
                if not until_a_replay or sender.recovered:
                    break
                moment = sender.acknowledged + 300
            sender.join(PATIENCE_S)
            assert sender.report, f"the client did not come to its end: {gateway.log.read_text()[-2000:]}"
        finally:
            gateway.close()

    def _start(self) -> GatewayProcess:
        gateway = GatewayProcess(self.home, self.listen, QUESTLINE_SPEND_ADDRESS=self.nobody)
        gateway.wait_ready(timeout_s=PATIENCE_S)
        return gateway

    def _wait(self, moment: int) -> bool:
        """Wait for a moment, in acknowledged events, and a little more; False when the work is done before."""
        give_up = time.monotonic() + PATIENCE_S
        while self.sender.acknowledged < moment and self.sender.is_alive():
            assert time.monotonic() < give_up, f"never came: {moment} acknowledgements"
            time.sleep(0.002)
        time.sleep(self.dice.uniform(0, 0.01))
        return self.sender.is_alive()

    def judge(self) -> dict[str, int]:
        """Compare what the spool holds with what was sent and, as it came to its end, acknowledged."""
        sent = {f"oracle-{self.oracle.seed}-{n}": n for n in range(self.oracle.events)}
        found, corrupted = Counter[str](), 0
        with closing(open_broker(f"spool:{Home(self.home).spool}")) as broker:
            while deliveries := broker.pull(max_messages=5_000, lease_s=600):
                for event in (Event.FromString(delivery.message.data) for delivery in deliveries):
                    found[event.event_id] += 1
                    number = sent.get(event.event_id)
                    corrupted += number is not None and as_sent(event) != self.oracle.event(number)
                broker.ack([delivery.ack_id for delivery in deliveries])
        return {
            "missing": len(sent.keys() - found.keys()),
            "invented": len(found.keys() - sent.keys()),
            "doubled": found.total() - len(found),
            "corrupted": corrupted,
        }


def as_sent(event: Event) -> Event:
    """Take away what the gateway added."""
    event.ClearField("title")
    event.ClearField("origin")
    event.ClearField("received_time")
    event.ClearField("event_date")
    return event


def test_no_acknowledged_event_is_lost_doubled_or_changed_by_kill_9(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def option(name: str, otherwise: int) -> int:
        given = request.config.getoption(name, default=None)
        return otherwise if given is None else int(given)

    runs, events = option("--fault-runs", 2), option("--fault-run-events", 4_000)
    seed = option("--fault-seed", SystemRandom().randrange(10**6))
    dice, replayed = Random(seed), 0
    for number in range(runs):
        run = Run(tmp_path / str(number), Oracle(seed=seed + number, events=events), dice)

        run.go(until_a_replay=number == runs - 1 and not replayed)
        judged = run.judge()
        replayed += run.sender.recovered

        print(
            f"run {number}, seed {seed + number}: under way at the kills {run.under_way}, {run.sender.recovered} replayed, {judged}"
        )
        assert run.under_way, "the kill did not land amid the work"
        assert all(run.under_way)
        assert not any(judged.values()), judged
    print(f"{runs} runs of {events:,} events, {replayed} events replayed: nothing lost, invented, doubled or changed")
    assert replayed, "no kill lost an answer: nothing came twice"
