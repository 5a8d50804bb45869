"""Days are made anew from files: in one step, the same however often, and exactly what the files say."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from questline_core.errors import BadInput
from questline_core.events.archive import gather
from questline_core.events.content import content_hash
from questline_core.events.remake import DayReport, Gathered, replace_day
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import PrivacyKey
from questline_core.stack.supervisor import questline_command
from questline_core.warehouse.port import EVENTS, Warehouse, open_warehouse
from questline_ingest.backfill import Exported
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.run import Envelope

REAL = Path(__file__).parents[3] / "shared/data/flood_it_events"
DAY, NEXT = date(2027, 1, 15), date(2027, 1, 16)
MICROS = 1_800_000_000_000_000


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as opened:
        opened.create(EVENTS, arrow_schema(Event))
        yield opened


@pytest.fixture
def forgotten(warehouse: Warehouse) -> Forgotten:
    return Forgotten(warehouse, PrivacyKey(b"k" * 32))


def row(number: int, day: date = DAY, **more: Any) -> dict[str, Any]:
    given = {"event_date": f"{day:%Y%m%d}", "event_timestamp": MICROS + number, "event_name": "level_up"}
    return given | {"user_pseudo_id": f"player-{number % 3}", "event_id": f"e{number}"} | more


def a_file(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run(warehouse: Warehouse, forgotten: Forgotten, *sources: str, days: Sequence[date] = (DAY,)) -> list[DayReport]:
    found = gathered(*sources, days=days)
    assert found.broken == 0, found.first_broken
    return [replace_day(warehouse, forgotten, day, found.days[f"{day:%Y%m%d}"].table()) for day in days]


def gathered(*sources: str, days: Sequence[date] = (DAY,)) -> Gathered:
    exported = Exported(rows=Ga4Rows(), envelope=Envelope(title="game"))
    return gather(sources, Gathered.of(days), title="game", read=exported.read)


def ids(warehouse: Warehouse) -> list[str]:
    found = warehouse.query("SELECT event_id FROM telemetry.events ORDER BY event_id")
    return [str(event_id) for event_id in found["event_id"].to_pylist()]


def test_a_day_is_replaced_and_other_days_stay(tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten) -> None:
    run(warehouse, forgotten, a_file(tmp_path / "a.ndjson", [row(1), row(2), row(7, NEXT)]), days=[DAY, NEXT])
    assert ids(warehouse) == ["e1", "e2", "e7"]

    [report] = run(warehouse, forgotten, a_file(tmp_path / "b.ndjson", [row(2), row(3), row(4), row(8, NEXT)]))

    assert ids(warehouse) == ["e2", "e3", "e4", "e7"]
    assert (report.before, report.rows, report.copies) == (2, 3, 0)


def test_twice_the_same_gives_the_same_content_whatever_the_files_of_the_table(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    rows = [row(number) for number in range(200)]
    [first] = run(warehouse, forgotten, a_file(tmp_path / "a.ndjson", rows))
    [second] = run(warehouse, forgotten, a_file(tmp_path / "b.ndjson", rows[::-1]))
    assert second.content == first.content

    every = warehouse.query("SELECT * FROM telemetry.events ORDER BY event_timestamp")
    with closing(open_warehouse(f"duckdb:{tmp_path / 'other'}")) as other:
        other.create(EVENTS, arrow_schema(Event))
        for start in range(0, 200, 7):
            other.append(EVENTS, every.slice(start, 7))
        assert content_hash(other.query("SELECT * FROM telemetry.events")) == first.content


def test_any_other_value_is_another_content() -> None:
    def hashed(*events: Event) -> str:
        return content_hash(to_table(Event, events))

    def event(**fields: Any) -> Event:
        given = row(1) | {"title": "game", "received_time": MICROS} | fields
        return Event(**given)

    ones = [
        hashed(event()),
        hashed(event(), event()),
        hashed(event(event_value_in_usd=0.1)),
        hashed(event(event_value_in_usd=0.1 + 2**-54)),
        hashed(event(event_bundle_sequence_id=2**53)),
        hashed(event(event_bundle_sequence_id=2**53 + 1)),
        hashed(event(session_id="")),
        hashed(),
    ]
    assert len(set(ones)) == len(ones)


def test_of_copies_that_differ_the_one_that_came_first_is_the_row_whatever_the_order_of_the_files(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    given = [row(1, received_time=MICROS + at, event_name=name) for at, name in [(9, "late"), (5, "b"), (5, "a")]]
    files = [a_file(tmp_path / f"{number}.ndjson", [one, row(2)]) for number, one in enumerate(given)]

    contents = {run(warehouse, forgotten, *order)[0].content for order in itertools.permutations(files)}

    names = warehouse.query("SELECT event_name FROM telemetry.events WHERE event_id = 'e1'")["event_name"].to_pylist()
    assert (names, len(contents)) == (["a"], 1)


def test_copies_become_one_row_and_several_files_one_day(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    a_file(tmp_path / "part-1.ndjson", [row(1), row(2)])
    (tmp_path / "part-2.ndjson.gz").write_bytes(gzip.compress(json.dumps(row(2)).encode() + b"\n"))

    [report] = run(warehouse, forgotten, str(tmp_path / "part-*"))

    assert (report.rows, report.copies, ids(warehouse)) == (2, 1, ["e1", "e2"])


def test_the_archive_of_a_subscription_gives_the_rows_that_the_stream_made(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    event = Event(**row(5), title="quest", received_time=MICROS + 9, origin="client")
    schema = {
        "type": "record",
        "name": "AvroPubsubMessage",
        "fields": [
            {"name": "data", "type": "bytes"},
            {"name": "attributes", "type": {"type": "map", "values": "string"}},
        ],
    }
    records = [
        {"data": event.SerializeToString(), "attributes": {"kind": "event"}},
        {"data": b"what was rejected", "attributes": {"kind": "reject"}},
        {"data": b"what a model answered", "attributes": {"kind": "served"}},
    ]
    with (tmp_path / "x.avro").open("wb") as file:
        fastavro.writer(file, schema, records)
    warehouse.append(EVENTS, to_table(Event, [event]))
    before = content_hash(warehouse.query("SELECT * FROM telemetry.events"))

    [report] = run(warehouse, forgotten, str(tmp_path / "x.avro"))

    assert (report.before, report.rows, report.content) == (1, 1, before)


def test_a_day_of_which_the_files_hold_nothing_is_not_emptied(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    run(warehouse, forgotten, a_file(tmp_path / "a.ndjson", [row(1)]))

    with pytest.raises(BadInput, match="hold no event of 2027-01-15"):
        run(warehouse, forgotten, a_file(tmp_path / "b.ndjson", [row(1, NEXT)]))
    assert ids(warehouse) == ["e1"]


def test_a_forgotten_player_does_not_come_back(tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten) -> None:
    forgotten.add("player-1")

    [report] = run(warehouse, forgotten, a_file(tmp_path / "a.ndjson", [row(0), row(1), row(2), row(4)]))

    assert (ids(warehouse), report.forgotten) == (["e0", "e2"], 2)


def test_broken_lines_are_counted_with_the_place_of_the_first(tmp_path: Path) -> None:
    source = a_file(tmp_path / "a.ndjson", [row(1), row(2, event_name=""), row(3, event_timestamp="soon")])

    found = gathered(source)

    assert found.broken == 2
    assert "a.ndjson, line 2: event_name is missing" in found.first_broken


@pytest.mark.skipif(not REAL.is_dir(), reason="no real rows in ../shared/data")
def test_the_five_real_schemas_in_order_give_no_failed_row_and_old_columns_bit_equal(
    tmp_path: Path, warehouse: Warehouse, forgotten: Forgotten
) -> None:
    rows = [json.loads(line) for line in (REAL / "events.ndjson").read_text().splitlines()]
    earlier = dict[date, str]()
    read = 0
    for variant in json.loads((REAL / "schema_variants.json").read_text()):
        shards = sorted(variant["shards"])
        given = [r for r in rows if r["event_date"] in shards]
        source = a_file(tmp_path / f"{variant['variant']}.ndjson", given)
        read += len(given)
        kept = shards[::5]  # every line is read and checked; a part of the days is enough to see them stored
        days = [date.fromisoformat(shard) for shard in kept]

        reports = run(warehouse, forgotten, source, days=days)

        wanted = [r for r in given if r["event_date"] in kept]
        assert sum(report.rows for report in reports) == len(wanted) > 0
        earlier |= {report.day: report.content for report in reports}
        stored = warehouse.query("SELECT * FROM telemetry.events WHERE event_date IN UNNEST(@days)", days=days)
        assert Counter(exactly(r, variant["schema"]) for r in stored.to_pylist()) == Counter(
            exactly(r, variant["schema"]) for r in wanted
        )
    every = warehouse.query("SELECT * FROM telemetry.events")
    assert earlier == {
        day: content_hash(every.filter(pc.equal(every["event_date"], pa.scalar(day)))) for day in earlier
    }
    assert read == len(rows) == 570


def exactly(row: Mapping[str, Any], schema: Sequence[Mapping[str, Any]]) -> str:
    """Write the columns of a schema; every bit of a number is in the text."""

    def value(of: Any, field: Mapping[str, Any]) -> Any:
        if field.get("mode") == "REPEATED":
            return [part(one, field) for one in of or []]
        return part(of, field)

    def part(of: Any, field: Mapping[str, Any]) -> Any:
        if field["type"] == "RECORD":
            return None if of is None else {f["name"]: value(of.get(f["name"]), f) for f in field["fields"]}
        return (
            f"{of:%Y%m%d}" if isinstance(of, date) else float(of) if field["type"] == "FLOAT" and of is not None else of
        )

    return json.dumps({field["name"]: value(row.get(field["name"]), field) for field in schema})


def test_the_command_replaces_days_and_says_so(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            questline_command("backfill", *arguments),
            env={**os.environ, "QUESTLINE_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    source = a_file(tmp_path / "a.ndjson", [row(1), row(2, NEXT)])
    done = [command("2027-01-15..2027-01-16", "--from", source, "--json") for _ in range(2)]
    contents = [[day["content"] for day in json.loads(one.stdout)["days"]] for one in done]
    assert contents[0] == contents[1]
    assert [day["before"] for day in json.loads(done[1].stdout)["days"]] == [1, 1]

    a_file(tmp_path / "a.ndjson", [row(1), {"event_name": "no time"}])
    refused = command("2027-01-15", "--from", source)
    assert refused.returncode == 1
    assert "line 2" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "no day" in command("yesterday", "--from", source).stderr
