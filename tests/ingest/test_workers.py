"""Several processes behind one address: real ones, with the spool on disk."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from questline_core.broker.port import open_broker
from questline_core.processes import read_ready
from questline_core.stack.children import free_ports
from questline_ingest.client import Client
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.server import PROCESS
from questline_ingest.testing import GatewayProcess, an_event

PROCESSES, PATIENCE_S = 2, 120

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    listen, http, nobody = (f"127.0.0.1:{port}" for port in free_ports(3))
    started = GatewayProcess(
        tmp_path,
        listen,
        QUESTLINE_PROCESSES=str(PROCESSES),
        QUESTLINE_HTTP_LISTEN=http,
        QUESTLINE_SPEND_ADDRESS=nobody,
    )
    try:
        started.wait_ready(timeout_s=PATIENCE_S)
        yield started
    finally:
        if (facts := read_ready(tmp_path / "run", PROCESS)) is not None:
            left = psutil.Process(facts["pid"]).children(recursive=True)
        else:
            left = []
        started.close()
        psutil.wait_procs(left, timeout=30)


def facts(home: Path, name: str = PROCESS) -> Mapping[str, Any]:
    found = read_ready(home / "run", name)
    assert found, f"{name} is not ready"
    return found


def until(met: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < give_up, f"never came: {what}"
        time.sleep(0.05)


def spooled(home: Path) -> Mapping[str, Counter[str]]:
    """Take everything out of the spool: how often each id is in which database."""
    found: dict[str, Counter[str]] = {}
    with closing(open_broker(f"spool:{home / 'spool'}")) as broker:
        while deliveries := broker.pull(max_messages=5_000, lease_s=60):
            for delivery in deliveries:
                database = delivery.ack_id.split("/")[0].split(":")[0]
                found.setdefault(database, Counter())[delivery.message.attributes["id"]] += 1
            broker.ack([delivery.ack_id for delivery in deliveries])
    return found


def send_by_new_connection(listen: str, event_id: str) -> int:
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(listen, options=options) as channel:
        request = pb.SendRequest(events=[an_event(event_id)])
        return int(IngestStub(channel).Send(request, timeout=30, wait_for_ready=True).answers[0].outcome)


def test_processes_share_the_addresses_and_one_answers_for_all(gateway: GatewayProcess, tmp_path: Path) -> None:
    told = facts(tmp_path)
    sent = [f"e{number}" for number in range(60)]
    outcomes = [send_by_new_connection(gateway.listen, event_id) for event_id in sent]
    for number in range(20):
        row = {"event_id": f"h{number}", "event_name": "n", "event_timestamp": 1_800_000_000_000_000}
        answer = httpx.post(f"http://{told['http']}/v1/events", json=row | {"user_pseudo_id": "p"}, timeout=30)
        assert answer.json()["answers"][0]["outcome"] == "ACCEPTED"
    metrics = httpx.get(f"http://{told['admin']}/metrics", timeout=10).text.splitlines()
    ready = httpx.get(f"http://{told['admin']}/readyz", timeout=10)
    until(lambda: facts(tmp_path)["accepted"] == 80, "the counts of all processes")

    assert set(outcomes) == {pb.ACCEPTED}
    accepted = [line for line in metrics if line.startswith('questline_gateway_events_total{outcome="accepted"')]
    assert len(accepted) == PROCESSES
    assert sum(float(line.split()[-1]) for line in accepted) == 80
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "why": []})
    assert gateway.end(signal.SIGTERM, timeout_s=PATIENCE_S) == 0
    databases = spooled(tmp_path)
    assert len(databases) == PROCESSES
    assert sum(databases.values(), Counter()) == Counter([*sent, *(f"h{number}" for number in range(20))])


def test_a_process_that_is_killed_is_started_again_and_loses_nothing(gateway: GatewayProcess, tmp_path: Path) -> None:
    processes = [f"{PROCESS}-{number}" for number in range(PROCESSES)]

    def busy() -> list[str]:
        return [name for name in processes if facts(tmp_path, name)["accepted"] > 0]

    def load(worker: int) -> set[str]:
        ids = [f"{worker}-{number}" for number in range(2_000)]
        with Client(gateway.listen, batch_size=50) as client:
            report = client.send_all(an_event(event_id) for event_id in ids)
        assert report.accepted == len(ids)
        return set(ids)

    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(load, worker) for worker in range(4)]
        until(lambda: bool(busy()), "events in a process")
        victim = busy()[0]
        killed = facts(tmp_path, victim)["pid"]
        psutil.Process(killed).kill()
        sent = set.union(*(one.result(timeout=PATIENCE_S) for one in sending))
    until(lambda: (read_ready(tmp_path / "run", victim) or {"pid": killed})["pid"] != killed, "a new process")

    assert gateway.end(signal.SIGTERM, timeout_s=PATIENCE_S) == 0
    assert set().union(*spooled(tmp_path).values()) == sent


def test_another_gateway_cannot_take_half_of_the_calls(gateway: GatewayProcess, tmp_path: Path) -> None:
    for processes in ("1", "2"):
        other = GatewayProcess(tmp_path / processes, gateway.listen, QUESTLINE_PROCESSES=processes)
        assert other.end(signal.SIGCONT, timeout_s=PATIENCE_S) == 1
        assert f"cannot listen on {gateway.listen} (Address already in use)" in other.log.read_text()


def test_processes_drain_when_the_one_that_leads_them_dies(gateway: GatewayProcess, tmp_path: Path) -> None:
    children = [facts(tmp_path, f"{PROCESS}-{number}")["pid"] for number in range(PROCESSES)]
    assert send_by_new_connection(gateway.listen, "before") == pb.ACCEPTED

    gateway.end(signal.SIGKILL)
    until(lambda: not any(psutil.pid_exists(child) for child in children), "the end of the processes")

    assert "gateway stopped" in gateway.log.read_text()
    assert sum(spooled(tmp_path).values(), Counter()) == Counter(["before"])
