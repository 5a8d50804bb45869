"""The real rows, through a real gateway, spool and stream, are in the table complete and exact."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from questline_core.events.checks import complete
from questline_core.events.rows import to_table
from questline_core.pb.telemetry_pb2 import Event
from questline_core.stack.supervisor import questline_command
from questline_core.warehouse.port import open_warehouse
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.lines import lines, parse
from questline_ingest.imports.mapping_file import load_mapping
from questline_ingest.imports.run import Rows
from questline_ingest.testing import GatewayProcess

DATA = Path(__file__).parents[2].parent / "shared/data"
FLOOD_IT, WAVES = DATA / "flood_it_events/events.ndjson", DATA / "waves_events/events.ndjson"
ENVELOPE = {"event_id", "title", "received_time", "client_time", "is_test", "origin", "event_date", "clock_ahead"}
WAVES_COLUMNS = ["event_timestamp", "event_name", "event_params", "session_id", "user_pseudo_id", "app_info"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the real rows are not at hand (../shared/data)")


def source(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def encoded(file: Path, rows: Rows) -> pa.Table:
    """The rows of a file as the encoder makes them, without a gateway."""
    events = []
    with file.open("rb") as opened:
        for line in lines(opened):
            event = rows.event(parse(line.data))
            event.event_id = str(line.number)
            complete(event, title="t", received_time=1)
            events.append(event)
    return to_table(Event, events)


def as_ga4(value: Any) -> Any:
    """A stored value without what is null or empty, so that it can be compared with a row without its nulls."""
    if isinstance(value, dict):
        return {name: as_ga4(part) for name, part in value.items() if part is not None and part != []}
    if isinstance(value, list):
        return [as_ga4(part) for part in value]
    return (type(value), value)


def assert_same_ga4_row(stored: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    found = {name: value for name, value in stored.items() if name not in ENVELOPE}
    assert as_ga4(found) == as_ga4({name: value for name, value in row.items() if name != "event_date"})
    assert stored["event_date"] == date.fromisoformat(row["event_date"])


def rebuilt_waves_line(stored: Mapping[str, Any]) -> dict[str, Any]:
    """What the line said, from the row alone."""
    values = {}
    for param in stored["event_params"]:
        given = [value for value in (param["value"] or {}).values() if value is not None]
        assert len(given) <= 1
        assert param["key"] not in values
        values[param["key"]] = given[0] if given else None
    app = stored["app_info"]
    outside = {"index": values.pop("index"), "log_version": values.pop("log_version")}
    moment = {"timestamp": stored["event_timestamp"], "session_id": stored["session_id"]}
    names = {"event_name": stored["event_name"], "app_id": app["id"], "app_version": app["version"]}
    data = values | {"persistent_session_id": stored["user_pseudo_id"]}
    return outside | moment | names | {"event_data": data}


def waves_line(row: Mapping[str, Any]) -> dict[str, Any]:
    moment = datetime.strptime(row["timestamp"].partition(".")[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    fraction = row["timestamp"].partition(".")[2].ljust(6, "0")
    return {**row, "timestamp": int((moment - EPOCH).total_seconds()) * 1_000_000 + int(fraction)}


def typed(line: Mapping[str, Any]) -> Any:
    return as_typed(dict(line))


def as_typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_typed(part) for name, part in value.items()}
    return (type(value), value)


def test_the_encoder_keeps_every_value_of_the_570_flood_it_rows() -> None:
    rows, stored = source(FLOOD_IT), encoded(FLOOD_IT, Ga4Rows()).to_pylist()

    assert len(stored) == len(rows) == 570
    for one, row in zip(stored, rows, strict=True):
        assert_same_ga4_row(one, row)


def test_every_value_of_the_10_000_waves_lines_is_found_again_in_its_row() -> None:
    rows, stored = source(WAVES), encoded(WAVES, load_mapping("waves")).select(WAVES_COLUMNS).to_pylist()

    assert len(stored) == len(rows) == 10_000
    for one, row in zip(stored, rows, strict=True):
        assert typed(rebuilt_waves_line(one)) == typed(waves_line(row))


def questline(home: Path, *arguments: str) -> str:
    return subprocess.run(
        questline_command(*arguments), env={"QUESTLINE_HOME": str(home)}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def test_the_real_rows_arrive_in_the_table_through_gateway_spool_and_stream(
    tmp_path: Path, start_gateway: Callable[[], GatewayProcess]
) -> None:
    gateway = start_gateway()
    flood_it = ["events", "import", str(FLOOD_IT), "--title", "flood", "--address", gateway.listen, "--json"]
    waves = ["events", "import", str(WAVES), "--mapping", "waves", "--address", gateway.listen, "--json"]

    reports = [json.loads(questline(tmp_path, *arguments)) for arguments in (flood_it, waves, flood_it)]
    gateway.end(signal.SIGTERM)
    questline(tmp_path, "stream", "run", "--until-idle")

    counts = [(one["sent"], one["accepted"], one["duplicate"], one["unreadable"]) for one in reports]
    assert counts == [(570, 570, 0, 0), (10_000, 10_000, 0, 0), (570, 0, 570, 0)]
    flood, waves_rows = stored(tmp_path)
    assert_same_rows(flood, source(FLOOD_IT))
    found = sorted(json.dumps(rebuilt_waves_line(row), sort_keys=True) for row in waves_rows)
    assert found == sorted(json.dumps(waves_line(row), sort_keys=True) for row in source(WAVES))


def stored(home: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the two games."""
    warehouse = open_warehouse(f"duckdb:{home / 'warehouse'}")
    flood = warehouse.query("SELECT * FROM telemetry.events WHERE title = 'flood'")
    waves = warehouse.query(
        "SELECT event_timestamp, event_name, event_params, session_id, user_pseudo_id, app_info "
        "FROM telemetry.events WHERE title = 'waves'"
    )
    warehouse.close()
    return flood.to_pylist(), waves.to_pylist()


def assert_same_rows(stored: Iterable[Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> None:
    """Compare regardless of order; equal rows are next to each other, so they may stand in for one another."""

    def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["event_timestamp"], row["event_name"], row["user_pseudo_id"], str(as_ga4(row["event_params"]))

    for one, row in zip(sorted(stored, key=place), sorted(rows, key=place), strict=True):
        assert_same_ga4_row(one, row)
