"""Rows are stored once each, whatever is lost on the way, and only whole appends are seen."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from questline_core.errors import BadInput, NotReady
from questline_core.events.schema import arrow_schema, bigquery_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.server import StandIn
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.testing.googlesql_judge import Judge
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.bigquery.appends import merge_text
from questline_core.warehouse.bigquery.shapes import shaped
from questline_core.warehouse.bigquery.writes import REQUEST_BYTES, cut
from questline_core.warehouse.port import EVENTS, open_warehouse

FIELDS: list[pa.Field[Any]] = [pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64())]
SCHEMA = pa.schema(FIELDS)
EVENTS_TABLE = bigquery.TableReference.from_string("p.telemetry.events")
TABLE = "game.x"


def some(*ids: str) -> pa.Table:
    return pa.table({"id": list(ids), "n": list(range(len(ids)))}, schema=SCHEMA)


def staged(google: StandIn) -> list[int]:
    tables = google.project.warehouse
    return [tables.describe(name).rows for name in tables.tables() if "._questline_" in name]


@pytest.mark.parametrize("key", ["id", None])
@pytest.mark.parametrize(
    "fault",
    [Fault.APPEND_REFUSED, Fault.APPEND_ANSWER_LOST, Fault.COMMIT_ANSWER_LOST, Fault.INSERT_ANSWER_LOST],
)
def test_an_answer_that_is_lost_leaves_each_row_once(
    google: StandIn, warehouse: BigQueryWarehouse, key: str | None, fault: Fault
) -> None:
    warehouse.create(TABLE, SCHEMA)
    google.project.faults.order(fault)

    added = warehouse.append(TABLE, some("a", "b"), key=key)

    assert (added.rows, added.skipped) == (2, 0)
    assert warehouse.query("SELECT id FROM game.x ORDER BY id").column(0).to_pylist() == ["a", "b"]
    assert all(rows == 0 for rows in staged(google))


def test_an_append_that_met_another_is_tried_again(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    warehouse.create(TABLE, SCHEMA)
    google.project.faults.order(Fault.JOB_CONFLICT, times=2)

    assert warehouse.append(TABLE, some("a"), key="id").rows == 1
    assert google.project.faults.happened[Fault.JOB_CONFLICT] == 2


def test_an_append_that_always_meets_others_says_so(google: StandIn) -> None:
    warehouse = open_warehouse(google.address, timeout_s=1.0)
    warehouse.create(TABLE, SCHEMA)
    google.project.faults.order(Fault.JOB_CONFLICT, times=1000)

    with pytest.raises(NotReady, match=r"other processes kept changing the same table, so the append to game\.x"):
        warehouse.append(TABLE, some("a"), key="id")
    assert warehouse.describe(TABLE).rows == 0
    warehouse.close()


def test_rows_left_aside_by_a_crash_are_never_seen(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    warehouse.create(TABLE, SCHEMA)
    google.project.faults.order(Fault.QUOTA)
    with pytest.raises(NotReady):
        warehouse.append(TABLE, some("lost"), key="id")
    assert staged(google) == [1]

    warehouse.append(TABLE, some("a"), key="id")

    assert warehouse.query("SELECT id FROM game.x").column(0).to_pylist() == ["a"]
    assert list(warehouse.tables()) == [TABLE]
    assert warehouse.append(TABLE, some("lost"), key="id").rows == 1


def test_rows_without_a_key_all_come_in_one_step(warehouse: BigQueryWarehouse) -> None:
    warehouse.create(TABLE, SCHEMA)

    assert warehouse.append(TABLE, some("a", "a")).rows == 2
    assert warehouse.append(TABLE, some()).rows == 0
    assert warehouse.describe(TABLE).rows == 2


def test_a_large_append_is_cut_into_requests_that_fit(warehouse: BigQueryWarehouse) -> None:
    text = "x" * 1_000_000
    rows = pa.table({"id": [f"{number}{text}" for number in range(25)], "n": list(range(25))}, schema=SCHEMA)
    warehouse.create(TABLE, SCHEMA)

    assert len(list(cut(rows))) > 2
    assert warehouse.append(TABLE, rows).rows == 25
    assert warehouse.query("SELECT SUM(n) AS s, MIN(LENGTH(id)) AS l FROM game.x").to_pylist() == [
        {"s": 300, "l": 1_000_001}
    ]


def test_a_row_that_fits_no_request_is_refused() -> None:
    with pytest.raises(BadInput, match="a row is larger than the 9,000,000 bytes"):
        list(cut(some("x" * REQUEST_BYTES)))


def test_events_of_many_days_are_stored_once_each(warehouse: BigQueryWarehouse) -> None:
    events = [an_event(f"p{player}", MONDAY + day * DAY) for player in range(3) for day in range(3)]
    fill(warehouse, events)
    again = [*events, an_event("late", MONDAY - 9 * DAY)]

    fill(warehouse, again)

    found = warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT event_id) AS d FROM telemetry.events").to_pylist()
    assert found == [{"n": 10, "d": 10}]


def test_the_search_for_known_keys_reads_only_the_days_of_the_rows() -> None:
    days = [date(2018, 6, 12), date(2018, 6, 12) + timedelta(days=400)]
    rows = pa.table({"event_id": ["a", "b", "c"], "event_date": [*days, days[0]]})
    table = shaped(EVENTS_TABLE, EVENTS, arrow_schema(Event))

    text = merge_text(EVENTS, "telemetry._questline_events_0", table, rows, "event_id")

    assert "known.`event_date` IN (DATE '2018-06-12', DATE '2019-07-17')" in text
    assert "`event_id`, `event_date`" in text


def test_googlesql_takes_the_statements_of_an_append(request: pytest.FixtureRequest) -> None:
    cache = request.config.cache
    assert cache is not None
    columns = bigquery_schema(Event)
    staging = "telemetry._questline_events_0"
    mark = {"name": "_batch", "type": "STRING", "mode": "REQUIRED"}
    judge = Judge(cache.mkdir("googlesql"), {EVENTS: columns, staging: [*columns, mark]})
    rows = arrow_schema(Event).empty_table()
    text = merge_text(EVENTS, staging, shaped(EVENTS_TABLE, EVENTS, arrow_schema(Event)), rows, "event_id")

    statements = [part.strip() for part in text.split(";\n")]
    changes = [part for part in statements if part.startswith(("INSERT", "DELETE"))]
    assert len(changes) == 2
    for change in changes:
        judge.analyze(change)
