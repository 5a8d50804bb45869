"""Days made anew by the bounded job are those that `questline backfill` makes of the same archive."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pytest

from questline_beam.backfill import build
from questline_core.broker.port import EVENT, REJECT, SERVED
from questline_core.errors import BadInput
from questline_core.events.archive import gather
from questline_core.events.content import content_hash
from questline_core.events.remake import Gathered, replace_days
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse

DAYS = (date(2023, 11, 14), date(2023, 11, 15))
DAY_US = 86_400_000_000
AVRO = {
    "type": "record",
    "name": "AvroPubsubMessage",
    "fields": [
        {"name": "message_id", "type": "string"},
        {"name": "data", "type": "bytes"},
        {"name": "attributes", "type": {"type": "map", "values": "string"}},
    ],
}
MAIN = Path(__file__).parents[2] / "beam/flex/main.py"
PRISM = shutil.which("prism")
IN_PROCESS = ["--runner=FnApiRunner"]
ON_PRISM = [
    "--runner=PrismRunner",
    f"--prism_location={PRISM}",
    "--environment_type=LOOPBACK",
    "--prism_log_level=error",
]
RUNNERS = [
    pytest.param(IN_PROCESS, id="in process"),
    pytest.param(
        ON_PRISM, id="Prism", marks=pytest.mark.skipif(PRISM is None, reason="the runner `prism` is not on PATH")
    ),
]


class Home:
    """A warehouse with an old row in the first day and one in a day that is not asked for."""

    def __init__(self, folder: Path, telemetry: Any) -> None:
        self.settings = PlatformSettings(home=folder, title="untitled")
        before = Gathered.of([DAYS[0], date(2023, 11, 13)])
        before.take("", telemetry.event("old"), title="")
        before.take("", telemetry.event("stays", event_date="20231113"), title="")
        replace_days(self.settings, before, skip_broken=False)

    def warehouse(self) -> Warehouse:
        return open_warehouse(self.settings.warehouse_url)

    def content(self, day: date) -> str:
        with closing(self.warehouse()) as warehouse:
            return content_hash(warehouse.query("SELECT * FROM telemetry.events WHERE event_date = @day", day=day))

    def ids(self) -> list[str]:
        with closing(self.warehouse()) as warehouse:
            found = warehouse.query("SELECT event_id FROM telemetry.events ORDER BY event_id")["event_id"]
            return [str(one) for one in found.to_pylist()]

    def run(
        self, archive: str, options: Sequence[str] = IN_PROCESS, *, days: Sequence[date] = DAYS, skip: bool = False
    ) -> dict[str, int]:
        job = build(self.settings, days=days, archive=[archive], skip_broken=skip, options=options)
        result = job.run()
        result.wait_until_finish()
        counters = result.metrics().query()["counters"]
        return {one.key.metric.name: one.committed for one in counters if one.key.metric.namespace == EVENTS}


@pytest.fixture
def home(tmp_path: Path, telemetry: Any) -> Home:
    return Home(tmp_path / "home", telemetry)


def events(telemetry: Any, number: int) -> Iterator[Event]:
    """Events of two days, of which a third did not come through the gateway, and every tenth came again later."""
    for i in range(number):
        time_us = 1_700_000_000_000_000 + i % 2 * DAY_US + i
        bare = {"received_time": None, "title": None, "origin": None, "event_date": None}
        given = {"event_timestamp": time_us, "event_date": "20231115" if i % 2 else "20231114"}
        given |= {"received_time": time_us + 5, "user_pseudo_id": f"player-{i % 7}"}
        event = telemetry.event(f"e{i:04}", **given | (bare if i % 3 == 0 else {}))
        yield event
        if i % 10 == 0:
            again = Event.FromString(event.SerializeToString())
            again.received_time = time_us + 90_000_000
            yield again


def an_archive(folder: Path, messages: Sequence[tuple[bytes, str]], *, files: int = 3) -> str:
    """Write messages of some kinds in Avro, in an order that no reader may rely on."""
    folder.mkdir()
    records = [
        {"message_id": f"m{number}", "data": data, "attributes": {"kind": kind}}
        for number, (data, kind) in enumerate(messages)
    ]
    random.Random(1).shuffle(records)
    for number in range(files):
        with (folder / f"{number}.avro").open("wb") as file:
            fastavro.writer(file, AVRO, records[number::files])
    return str(folder / "*.avro")


def whole(telemetry: Any) -> list[tuple[bytes, str]]:
    sent = [(event.SerializeToString(), EVENT) for event in events(telemetry, 400)]
    return [*sent, (b"what was rejected", REJECT), (b"what a model answered", SERVED)]


@pytest.mark.parametrize("options", RUNNERS)
def test_the_job_gives_the_days_that_the_backfill_of_this_machine_gives_of_the_same_files_and_again(
    tmp_path: Path, home: Home, telemetry: Any, options: Sequence[str]
) -> None:
    archive = an_archive(tmp_path / "archive", whole(telemetry))
    here = Home(tmp_path / "here", telemetry)
    reports = replace_days(
        here.settings, gather([archive], Gathered.of(DAYS), title=here.settings.title), skip_broken=False
    )

    counted = [home.run(archive, options) for _ in range(2)]

    assert [home.content(day) for day in DAYS] == [report.content for report in reports]
    assert [report.rows for report in reports] == [200, 200]
    assert counted == [{"rows": 400, "copies": sum(asdict(report)["copies"] for report in reports), "forgotten": 0}] * 2
    assert home.ids() == here.ids() == [*(f"e{i:04}" for i in range(400)), "stays"]


@pytest.mark.parametrize("data", [b"\xff\x00", Event(event_id="no name").SerializeToString()])
def test_a_message_that_is_no_event_stops_all_unless_it_is_to_be_left_out(
    tmp_path: Path, home: Home, telemetry: Any, data: bytes
) -> None:
    archive = an_archive(tmp_path / "archive", [*whole(telemetry), (data, EVENT)])

    with pytest.raises(Exception, match=r"1 lines or messages are no events, the first: message m442: "):
        home.run(archive)
    assert home.ids() == ["old", "stays"]

    home.run(archive, skip=True)
    assert len(home.ids()) == 401


def test_a_day_of_which_the_archive_holds_nothing_is_not_emptied(tmp_path: Path, home: Home, telemetry: Any) -> None:
    archive = an_archive(tmp_path / "archive", [(telemetry.event("new").SerializeToString(), EVENT)])

    with pytest.raises(Exception, match="hold no event of 2023-11-13"):
        home.run(archive, days=[DAYS[0], date(2023, 11, 13)])
    assert "stays" in home.ids()
    with pytest.raises(Exception, match="hold no event of 2023-11-14"):
        home.run(str(tmp_path / "nothing-*.avro"))


def test_a_forgotten_player_does_not_come_back_and_a_worker_without_the_key_replaces_nothing(
    tmp_path: Path, home: Home, telemetry: Any
) -> None:
    archive = an_archive(tmp_path / "archive", whole(telemetry))
    with closing(home.warehouse()) as warehouse:
        Forgotten(warehouse, open_key(home.settings)).add("player-1")
    kept = [f"e{i:04}" for i in range(400) if i % 7 != 1]

    counted = home.run(archive)

    assert home.ids() == [*kept, "stays"]
    assert counted["forgotten"] == 400 - len(kept)
    home.settings.privacy_key_file.unlink()
    with pytest.raises(Exception, match="put the file into the image of the workers"):
        home.run(archive)
    assert home.ids() == [*kept, "stays"]


def test_no_day_or_no_file_is_refused(home: Home) -> None:
    for days, archive in [((), ["x"]), (DAYS, [])]:
        with pytest.raises(BadInput, match="needs days and files"):
            build(home.settings, days=days, archive=archive, skip_broken=False, options=[])


def test_the_launcher_of_the_template_starts_the_job_that_its_parameters_describe(
    tmp_path: Path, home: Home, telemetry: Any
) -> None:
    archive = an_archive(tmp_path / "archive", whole(telemetry))
    launched = subprocess.run(
        [
            *(sys.executable, "-P", str(MAIN), "--days=2023-11-14..2023-11-15", f"--archive={archive}"),
            *(f"--warehouse_url={home.settings.warehouse_url}", "--title=untitled", *IN_PROCESS),
        ],
        env={**os.environ, "QUESTLINE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert launched.returncode == 0, launched.stderr
    assert len(home.ids()) == 401
