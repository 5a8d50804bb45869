from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from questline_core.cli import questline
from questline_core.errors import BadInput
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.lines import lines, opened, parse
from questline_ingest.simulate import World, simulate
from questline_ingest.testing import GatewayProcess

SMALL = ("--players", "30", "--days", "5", "--seed", "9", "--start", "2026-03-02")
WORLD = World(start=date(2026, 3, 2), players=30, days=5, seed=9)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(questline, ["simulate", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def asked(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_a_written_file_is_read_back_by_the_import_as_the_same_events(tmp_path: Path) -> None:
    out = tmp_path / "generated.ndjson"
    done = asked(*SMALL, "--out", str(out))
    rows = Ga4Rows()
    with opened(out) as file:
        back = [rows.event(parse(line.data)) for line in lines(file)]

    assert back == list(simulate(WORLD))
    assert rows.skipped == set()
    assert done["written"] == len(back)
    assert done["generated"] is True
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("option", ["players", "days"])
def test_none_at_all_is_refused_and_is_not_the_default(option: str) -> None:
    with pytest.raises(BadInput, match=f"{option} is 0; give 1 or more"):
        run(*SMALL, f"--{option}", "0")


def test_a_file_that_cannot_be_written_is_named_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(BadInput, match=r"cannot write .*taken.*choose another --out"):
        run(*SMALL, "--out", str(tmp_path / "taken"))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_is_sent_is_acknowledged_to_the_event(start_gateway: Callable[[], GatewayProcess], tmp_path: Path) -> None:
    gateway, acks = start_gateway(), tmp_path / "acks"
    report = asked(
        *SMALL,
        "--resend-rate",
        "0.1",
        "--invalid-rate",
        "0.05",
        "--send",
        "--address",
        gateway.listen,
        "--acks",
        str(acks),
    )
    sent = list(simulate(World(start=date(2026, 3, 2), players=30, days=5, seed=9, resend_rate=0.1, invalid_rate=0.05)))
    valid = {event.event_id for event in sent if not event.event_id.endswith("-broken")}

    assert report["sent"] == len(sent) == report["accepted"] + report["duplicate"] + report["rejected"]
    assert report["accepted"] == len(valid)
    assert report["rejected"] == sum(event.event_id.endswith("-broken") for event in sent) > 0
    assert set(acks.read_text().split()) == valid


def test_a_history_ends_today_unless_told_otherwise() -> None:
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    done = asked("--players", "5", "--days", "3")

    assert done["world"]["start"] in {str((midnight - timedelta(days=late)).date()) for late in (2, 3)}
    assert asked("--players", "5", "--days", "3", "--end", "2026-03-05")["world"]["start"] == "2026-03-02"


def test_a_person_is_told_that_the_players_are_generated_and_that_nothing_left() -> None:
    told = run(*SMALL)

    assert told.startswith("generated: 30 players over 5 days from 2026-03-02\nnothing was written or sent")
    assert "players who spend" in told


def test_start_and_end_together_are_refused() -> None:
    with pytest.raises(BadInput, match="give one of them"):
        run(*SMALL, "--end", "2026-03-05")


def test_importing_the_command_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys, questline_ingest.commands.simulate; print([m for m in ('grpc','google.protobuf','rich') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "grpc" not in loaded
    assert "protobuf" not in loaded


def test_a_row_keeps_all_64_bits_and_leaves_out_what_is_not_set() -> None:
    from questline_ingest.simulate.export import as_row

    event = Event(event_id="a", event_timestamp=2**53 + 1, is_test=False)
    event.event_params.add(key="id").value.int_value = -(2**63)

    assert as_row(event) == {
        "event_id": "a",
        "event_timestamp": 9_007_199_254_740_993,
        "is_test": False,
        "event_params": [{"key": "id", "value": {"int_value": -9_223_372_036_854_775_808}}],
    }
