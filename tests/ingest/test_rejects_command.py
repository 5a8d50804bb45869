"""`questline rejects` as a person runs it: from the list to the row."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from questline_core.broker.port import open_broker
from questline_core.errors import BadInput
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import REJECTS, open_warehouse
from questline_ingest.commands.rejects import rejects as app

MICROS = 1_800_000_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> PlatformSettings:
    settings = PlatformSettings(home=tmp_path / "home")
    nameless = Event(event_id="e1", user_pseudo_id="p", event_timestamp=MICROS)
    seconds = Event(event_id="e2", event_name="x", user_pseudo_id="p", event_timestamp=MICROS // 1_000_000)
    rejects = [
        Reject(message_id="m1", payload=nameless.SerializeToString(), reason="missing", field="event_name"),
        Reject(message_id="m2", payload=seconds.SerializeToString(), reason="out_of_range", field="event_timestamp"),
    ]
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(REJECTS, arrow_schema(Reject))
        warehouse.append(REJECTS, to_table(Reject, rejects), key="message_id")
    return settings


def rejects(settings: PlatformSettings, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"QUESTLINE_HOME": str(settings.home)})


def published(settings: PlatformSettings) -> list[Event]:
    with closing(open_broker(settings.broker_url)) as broker:
        return [Event.FromString(found.message.data) for found in broker.pull(max_messages=99, lease_s=0.001)]


def test_from_the_list_to_the_broker(settings: PlatformSettings, tmp_path: Path) -> None:
    listed = json.loads(rejects(settings, "list", "--json").stdout)
    assert [(group["reason"], group["field"], group["count"]) for group in listed] == [
        ("missing", "event_name", 1),
        ("out_of_range", "event_timestamp", 1),
    ]
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text("- {reason: missing, field: event_name, set: {event_name: unknown}}\n")

    tried = json.loads(rejects(settings, "fix", str(fixes), "--json").stdout)
    left = [{"reason": "out_of_range", "field": "event_timestamp", "count": 1}]
    assert tried == {"ready": 1, "left": left}

    replayed = rejects(settings, "replay", "--fix", str(fixes), "--json")
    assert (replayed.exit_code, json.loads(replayed.stdout)) == (1, {"ready": 1, "left": left})
    assert [(event.event_id, event.event_name) for event in published(settings)] == [("e1", "unknown")]

    edited = tmp_path / "event.json"
    assert rejects(settings, "show", "m2", "--out", str(edited)).exit_code == 0
    edited.write_text(edited.read_text().replace(str(MICROS // 1_000_000), str(MICROS)))
    by_hand = rejects(settings, "replay", "m2", "--payload", str(edited))
    assert (by_hand.exit_code, by_hand.stdout) == (0, "1 replayed, 0 still break the contract\n")
    assert rejects(settings, "replay").stdout == "0 replayed, 0 still break the contract\n"
    assert [group["replayed"] for group in json.loads(rejects(settings, "list", "--json").stdout)] == [1, 1]


def test_the_list_gives_each_kind_a_line_that_can_be_copied(settings: PlatformSettings) -> None:
    told = rejects(settings, "list").stdout.splitlines()

    assert told[0].split() == ["1", "missing", "event_name,", "newest", "1970-01-01", "00:00:00+00:00"]
    assert told[2].strip() == "questline rejects show m1"


def test_each_kind_that_is_left_has_an_example_of_its_own(settings: PlatformSettings, tmp_path: Path) -> None:
    nobody = Event(event_id="e4", event_name="x", event_timestamp=MICROS)
    reject = Reject(message_id="m4", payload=nobody.SerializeToString(), reason="missing", field="user_pseudo_id")
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.append(REJECTS, to_table(Reject, [reject]), key="message_id")
    fixes = tmp_path / "fixes.yaml"
    fixes.write_text("[]")

    told = rejects(settings, "fix", str(fixes)).stdout

    assert "missing event_name, such as m1\n" in told
    assert "missing user_pseudo_id, such as m4\n" in told


def test_an_event_that_came_as_json_is_edited_and_replayed(settings: PlatformSettings, tmp_path: Path) -> None:
    row = {"event_id": "e3", "event_name": "x", "user_pseudo_id": "p", "event_timestamp": MICROS, "level": 3}
    reject = Reject(message_id="m3", payload=json.dumps(row).encode(), reason="malformed", field="level")
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.append(REJECTS, to_table(Reject, [reject]), key="message_id")
    edited = tmp_path / "event.json"
    assert rejects(settings, "show", "m3", "--out", str(edited)).exit_code == 0

    edited.write_text(
        json.dumps({name: value for name, value in json.loads(edited.read_text()).items() if name != "level"})
    )

    assert rejects(settings, "replay", "m3", "--payload", str(edited)).exit_code == 0
    assert [event.event_id for event in published(settings)] == ["e3"]


def test_what_is_asked_wrongly_is_one_sentence(settings: PlatformSettings) -> None:
    for arguments, says in ((("show", "m9"), "m9"), (("explain", "bad"), "bad"), (("fix", "none.yaml"), "none.yaml")):
        told = rejects(settings, *arguments)
        assert isinstance(told.exception, BadInput)
        assert says in str(told.exception)
    assert "no dead letters" in rejects(settings, "dead-letters").stdout
    assert "usual cause" in rejects(settings, "explain").stdout
