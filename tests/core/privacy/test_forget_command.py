"""`questline forget` as a person runs it, with the stream beside it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import closing
from pathlib import Path

from questline_core.broker.port import EVENT, Message, open_broker
from questline_core.pb.telemetry_pb2 import Event
from questline_core.settings import PlatformSettings
from questline_core.stack.supervisor import questline_command
from questline_core.warehouse.port import open_warehouse

GONE = "player-that-goes"


def questline(settings: PlatformSettings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        questline_command(*arguments),
        env={**os.environ, "QUESTLINE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def events_become_rows(settings: PlatformSettings, first: int) -> None:
    events = [
        Event(event_id=f"e{n}", event_name="x", event_timestamp=1_760_000_000_000_000 + n, user_pseudo_id=player)
        for n, player in enumerate((GONE, "player-that-stays"), first)
    ]
    messages = [Message(event.SerializeToString(), {"kind": EVENT, "id": event.event_id}) for event in events]
    with closing(open_broker(settings.broker_url)) as broker:
        asyncio.run(broker.publish(messages))
    ended = questline(settings, "stream", "run", "--until-idle")
    assert ended.returncode == 0, ended.stderr


def players(settings: PlatformSettings) -> list[str]:
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        found = warehouse.query("SELECT user_pseudo_id FROM telemetry.events ORDER BY event_id")
    return [str(player) for player in found["user_pseudo_id"].to_pylist()]


def test_a_player_is_forgotten_and_a_late_event_brings_nobody_back(settings: PlatformSettings) -> None:
    events_become_rows(settings, 0)

    done = questline(settings, "forget", GONE, "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert {place["place"]: place["removed"] for place in record["places"] if place["removed"]} == {
        "table telemetry.events": 1,
        "table telemetry.sessions": 1,
        "features": 1,
    }
    events_become_rows(settings, 10)

    assert players(settings) == ["player-that-stays", "player-that-stays"]
    verified = questline(settings, "forget", "--verify", record["record"], GONE)
    assert (verified.returncode, verified.stderr) == (0, "")
    holding = [path for path in settings.paths.root.rglob("*") if path.is_file() and GONE.encode() in path.read_bytes()]
    assert holding == []


def test_an_id_that_nobody_has_is_told(settings: PlatformSettings) -> None:
    settings.paths.root.mkdir()
    done = questline(settings, "forget", "a-misspelt-player")

    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was found" in done.stdout


def test_what_is_asked_wrongly_is_one_sentence(settings: PlatformSettings, tmp_path: Path) -> None:
    settings.paths.root.mkdir()
    nobody = questline(settings, "forget")
    unknown = questline(settings, "forget", "--verify", str(tmp_path / "none.json"))

    assert (nobody.returncode, unknown.returncode) == (1, 1)
    assert "no player is named" in nobody.stderr
    assert "none.json" in unknown.stderr
    assert "Traceback" not in nobody.stderr + unknown.stderr
