"""`questline load` as a user runs it, against a real gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import serving_all


async def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from questline_core.cli import main; main()", "load", *arguments]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=60)


async def test_a_load_tells_rate_latency_and_outcomes_and_draws_them(
    address: str, broker: MemoryBroker, tmp_path: Path
) -> None:
    plot = tmp_path / "load.html"
    ran = await load(
        *("--address", address, "--rate", "20", "--ramp-to", "60", "--duration", "1", "--batch", "5"),
        *("--predict", "spend", "--players", "20", "--title", "flood", "--plot", str(plot), "--json"),
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    # A machine that is busy may turn calls away or let them end too late; none goes uncounted, and none is stored twice.
    answered, failed = sum(found["outcomes"].values()), sum(found["failed_calls"].values())
    assert answered + failed * 5 == found["events"] == 200
    assert found["calls"] == 40
    accepted = found["outcomes"]["accepted"]
    assert 0 < sum(found["predictions"].values()) <= answered
    assert list(found["latency_ms"]) == ["p50", "p90", "p99", "p99.9", "longest"]
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["longest"]
    assert found["generator_cpu_s"] > 0
    events = [Event.FromString(message.data) for message in broker.published]
    assert accepted <= len({event.event_id for event in events}) == len(events) <= 200
    assert {(event.is_test, event.title) for event in events} == {(True, "flood")}
    assert "latency by second" in plot.read_text()


async def test_processes_share_a_load_and_a_person_gets_a_table(address: str, broker: MemoryBroker) -> None:
    ran = await load("--address", address, "--rate", "50", "--duration", "1", "--players", "5", "--processes", "2")

    assert ran.returncode == 0, ran.stderr
    assert len(broker.published) == 50
    for told in ("50 with 50 events", "latency p99 ", "outcomes: accepted", "generator's own CPU"):
        assert told in ran.stdout


async def test_a_load_goes_over_one_stream(address: str, broker: MemoryBroker) -> None:
    ran = await load(
        *("--address", address, "--rate", "200", "--duration", "1", "--batch", "3", "--players", "5"),
        *("--stream", "--predict", "churn", "--json"),
    )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["outcomes"], found["failed_calls"]) == ({"accepted": 600}, {})
    assert sum(count for name, count in found["predictions"].items() if name.startswith("churn ")) == 600
    assert len(broker.published) == 600


async def test_a_load_goes_over_http(settings: GatewaySettings, broker: MemoryBroker) -> None:
    async with serving_all(settings.model_copy(update={"http_listen": "127.0.0.1:0"}), broker) as at:
        ran = await load(
            *("--http", "--address", at.http, "--rate", "60", "--duration", "1", "--batch", "3", "--players", "5"),
            *("--predict", "churn", "--predict", "spend", "--json"),
        )

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["outcomes"], found["failed_calls"]) == ({"accepted": 180}, {})
    for model in ("churn", "spend"):
        assert sum(count for name, count in found["predictions"].items() if name.startswith(f"{model} ")) == 180
    assert {Event.FromString(message.data).is_test for message in broker.published} == {True}
    assert len(broker.published) == 180


@pytest.mark.parametrize("by", [(), ("--stream",), ("--http",)])
async def test_a_load_on_nobody_says_so_in_one_sentence(by: tuple[str, ...]) -> None:
    ran = await load("--address", "127.0.0.1:1", "--rate", "20", "--duration", "0.5", "--players", "5", *by)

    assert ran.returncode == 1
    assert ran.stderr.startswith("questline: no gateway answers at 127.0.0.1:1")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "wrong", [("--rate", "0"), ("--duration", "99999"), ("--replay", "nothing.ndjson"), ("--stream", "--http")]
)
async def test_a_wrong_option_is_one_sentence(wrong: tuple[str, str]) -> None:
    ran = await load(*wrong, "--address", "127.0.0.1:1")

    assert ran.returncode == 1
    assert ran.stderr.startswith("questline: ")
    assert "Traceback" not in ran.stderr
