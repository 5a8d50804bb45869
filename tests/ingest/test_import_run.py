"""An import accounts for every line: sent through the gateway, or kept aside with number and reason."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.stack.children import free_ports
from questline_core.stack.supervisor import questline_command
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.client import Client
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.run import Envelope, ImportReport, import_file


def row(**columns: Any) -> bytes:
    needed = {"event_name": "level_up", "event_timestamp": "1528816441295000", "user_pseudo_id": "p1"}
    return json.dumps(needed | columns).encode()


def written(folder: Path, *lines: bytes) -> Path:
    file = folder / "export.ndjson"
    file.write_bytes(b"\n".join(lines))
    return file


async def importing(file: Path, address: str, envelope: Envelope | None = None, **options: Any) -> ImportReport:
    def run() -> ImportReport:
        with Client(address) as client:
            return import_file(file, Ga4Rows(), client, envelope=envelope or Envelope(), **options)

    return await asyncio.to_thread(run)


def stored(broker: MemoryBroker) -> list[Event]:
    return [Event.FromString(m.data) for m in broker.published if m.attributes["kind"] == "event"]


async def test_a_second_import_of_a_file_is_all_duplicates_and_equal_rows_are_kept(
    tmp_path: Path, address: str, broker: MemoryBroker
) -> None:
    file = written(tmp_path, row(), row(user_pseudo_id="p2"), row())

    first, second = await importing(file, address), await importing(file, address)

    assert (first.sent, first.accepted, first.duplicate) == (3, 3, 0)
    assert (second.sent, second.accepted, second.duplicate) == (3, 0, 3)
    assert [event.user_pseudo_id for event in stored(broker)] == ["p1", "p2", "p1"]


async def test_the_same_rows_written_otherwise_are_duplicates(tmp_path: Path, address: str) -> None:
    await importing(written(tmp_path, row()), address)

    spaced = b'{ "user_pseudo_id":"p1", "event_timestamp":1528816441295000, "geo":null, "event_name":"level_up" }'
    assert (await importing(written(tmp_path, spaced), address)).duplicate == 1


async def test_an_import_marks_its_events_and_takes_the_clients_time_from_the_row(
    tmp_path: Path, address: str, broker: MemoryBroker
) -> None:
    await importing(written(tmp_path, row()), address, Envelope(title="flood"))

    (event,) = stored(broker)
    assert (event.origin, event.title, event.client_time) == ("import", "flood", 1_528_816_441_295_000)
    assert event.HasField("is_test")
    assert not event.is_test


async def test_what_a_row_says_of_itself_stays(tmp_path: Path, address: str, broker: MemoryBroker) -> None:
    line = row(event_id="mine", origin="generated", title="waves", client_time=5, is_test=True)

    await importing(written(tmp_path, line), address, Envelope(title="flood"))

    (event,) = stored(broker)
    assert (event.event_id, event.origin, event.title, event.client_time) == ("mine", "generated", "waves", 5)
    assert event.is_test


async def test_an_import_as_a_test_marks_every_event(tmp_path: Path, address: str, broker: MemoryBroker) -> None:
    await importing(written(tmp_path, row(), row(is_test=False)), address, Envelope(is_test=True))

    assert [event.is_test for event in stored(broker)] == [True, True]


async def test_unreadable_lines_are_kept_with_number_and_reason_and_the_others_are_stored(
    tmp_path: Path, address: str, broker: MemoryBroker
) -> None:
    wrong, broken, latin = row(geo={"city": 5}), b"no json", b'{"event_name": "\xe9"}'
    file = written(tmp_path, row(), wrong, b"", broken, latin, row(user_pseudo_id="p2"))

    report = await importing(file, address)

    assert (report.sent, report.accepted, report.unreadable, report.complete) == (2, 2, 3, False)
    assert [event.user_pseudo_id for event in stored(broker)] == ["p1", "p2"]
    assert report.kept_in == tmp_path / "export.ndjson.unreadable.ndjson"
    kept = [json.loads(line) for line in report.kept_in.read_bytes().splitlines()]
    assert [(one["line"], one["field"]) for one in kept] == [(2, "geo.city"), (4, ""), (5, "")]
    assert [one.get("payload") for one in kept] == [wrong.decode(), "no json", None]
    assert kept[2]["payload_base64"] == "eyJldmVudF9uYW1lIjogIukifQ=="
    assert "put it in quotes" in kept[0]["reason"]
    assert report.first_unreadable.startswith("line 2: geo.city is 5")


async def test_an_event_that_breaks_the_contract_is_kept_by_the_gateway(
    tmp_path: Path, address: str, broker: MemoryBroker
) -> None:
    large = row(event_params=[{"key": f"k{n}", "value": {"string_value": "x" * 50_000}} for n in range(42)])
    nameless = row(event_name=None)

    report = await importing(written(tmp_path, large, nameless, row()), address)

    assert (report.sent, report.accepted, report.rejected, report.unreadable) == (3, 1, 2, 0)
    assert len([m for m in broker.published if m.attributes["kind"] == "reject"]) == 2
    assert not report.complete
    assert "send at most 1048576" in report.first_rejected


async def test_what_is_rejected_twice_has_one_id_so_that_it_can_become_one_event_only(
    tmp_path: Path, address: str, broker: MemoryBroker
) -> None:
    file = written(tmp_path, row(event_name=None))

    first, second = await importing(file, address), await importing(file, address)

    assert (first.rejected, second.rejected) == (1, 1)
    rejects = [Reject.FromString(message.data) for message in broker.published]
    assert len({(reject.event_id, reject.payload) for reject in rejects}) == 1 < len(rejects) == 2
    assert rejects[0].event_id


async def test_progress_reaches_the_end_of_the_file(tmp_path: Path, address: str) -> None:
    file, seen = written(tmp_path, row(), b"no json", row(user_pseudo_id="p2")), list[int]()

    await importing(file, address, on_progress=seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == file.stat().st_size


async def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, address: str) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*nothing\.ndjson \(No such file or directory\)"):
        await importing(tmp_path / "nothing.ndjson", address)


def questline(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        questline_command(*arguments), env={"QUESTLINE_HOME": str(home)}, capture_output=True, text=True, check=False
    )


async def test_the_command_prints_the_counts_and_says_by_its_exit_code_whether_all_went_well(
    tmp_path: Path, address: str
) -> None:
    def command(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return questline("events", "import", str(file), "--address", address, *options, home=tmp_path)

    good, bad = written(tmp_path, row()), tmp_path / "bad.ndjson"
    bad.write_bytes(row(planet="Earth") + b"\n" + row(event_name="") + b"\n")
    done = await asyncio.to_thread(command, good)
    failed = await asyncio.to_thread(command, bad)
    skipping = await asyncio.to_thread(command, bad, "--skip-unknown", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 sent / 1 accepted / 0 duplicate / 0 rejected / 0 unreadable\n"
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[0] == "1 sent / 0 accepted / 0 duplicate / 1 rejected / 1 unreadable"
    assert "event_name is missing" in failed.stdout
    assert "line 1: planet is no column of the event contract" in failed.stdout
    facts = json.loads(skipping.stdout)
    assert (facts["sent"], facts["duplicate"], facts["rejected"], facts["unreadable"]) == (2, 1, 1, 0)
    assert facts["skipped_columns"] == ["planet"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.ndjson"], "cannot read none.ndjson (No such file or directory)"),
        (["/"], "cannot read / (Is a directory)"),
        ([__file__, "--mapping", "wavs"], "one of waves"),
        ([__file__, "--address", "NOBODY"], "no gateway answers"),
        ([__file__, "--address", "here"], "QUESTLINE_LISTEN"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_no_stack_trace(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    arguments = [nobody if one == "NOBODY" else one for one in arguments]
    done = questline("events", "import", *arguments, home=tmp_path)

    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("questline: ")
    assert not done.stdout


def test_the_schema_command_shows_what_the_page_shows(tmp_path: Path) -> None:
    page = questline("events", "schema", home=tmp_path)
    bigquery = questline("events", "schema", "--format", "bigquery", home=tmp_path)
    arrow = questline("events", "schema", "--format", "arrow", "--table", "rejects", home=tmp_path)

    assert page.stdout == (Path(__file__).parents[2] / "docs/events.md").read_text(encoding="utf-8")
    assert json.loads(bigquery.stdout)[0]["name"] == "event_id"
    assert "payload: binary" in arrow.stdout
