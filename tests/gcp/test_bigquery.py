"""The BigQuery adapter against Google's BigQuery: the contract, and what a stand-in cannot prove."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery

from questline_core.events.checks import complete
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.bigquery.dataset import CloudBench, InDataset
from questline_core.testing.event_tables import DAY, MONDAY, an_event
from questline_core.testing.warehouse_contract import SCHEMA, TABLE, WarehouseContract, rows
from questline_core.warehouse.bigquery.shapes import shaped
from questline_core.warehouse.port import EVENTS

BUCKET = os.environ.get("QUESTLINE_GCP_BUCKET", "")
GAME_EVENTS = "game.events"


class TestBigQueryOnGoogle(WarehouseContract):
    @pytest.mark.skip(reason="other processes know the dataset of this run by no name; the stand-in proves this rule")
    def test_readers_in_other_processes_see_whole_appends_only(self, bench: Any, warehouse: Any) -> None:
        """See the reason."""

    @pytest.mark.skip(reason="other processes know the dataset of this run by no name; the stand-in proves this rule")
    def test_a_killed_writer_leaves_whole_appends(self, bench: Any, warehouse: Any) -> None:
        """See the reason."""


def events(*players: str, day: int = 0) -> pa.Table:
    found = [an_event(player, MONDAY + day * DAY) for player in players]
    for event in found:
        complete(event, title="game", received_time=event.event_timestamp)
    return to_table(Event, found)


@pytest.fixture
def warehouse(bench: CloudBench) -> InDataset:
    opened = bench.open()
    opened.create(TABLE, SCHEMA)
    client = opened.inner._jobs.client
    reference = bigquery.TableReference.from_string(f"{client.project}.{bench.dataset}.events")
    client.create_table(shaped(reference, EVENTS, arrow_schema(Event)))
    return opened


def test_writers_at_the_same_time_store_each_key_once(bench: CloudBench, warehouse: InDataset) -> None:
    writers = [bench.open() for _ in range(4)]

    with ThreadPoolExecutor(len(writers)) as pool:
        added = list(pool.map(lambda one: one.append(TABLE, rows(*"abcdefgh"), key="event_id").rows, writers))

    assert sum(added) == warehouse.describe(TABLE).rows == 8


def test_an_append_that_adds_nothing_keeps_the_version(warehouse: InDataset) -> None:
    warehouse.append(TABLE, rows("a"), key="event_id")
    version = warehouse.version(TABLE)

    assert warehouse.append(TABLE, rows("a"), key="event_id").rows == 0
    assert warehouse.version(TABLE) == version


def test_events_are_stored_once_in_their_days_and_a_day_is_replaced(warehouse: InDataset) -> None:
    warehouse.append(GAME_EVENTS, events("a", "b"), key="event_id")
    warehouse.append(GAME_EVENTS, events("a", "c", day=1), key="event_id")
    again = warehouse.append(GAME_EVENTS, events("a", "b", "late"), key="event_id")
    assert (again.rows, again.skipped) == (1, 2)

    warehouse.replace(GAME_EVENTS, events("only"), partition=date(2025, 11, 3))

    found = warehouse.query("SELECT user_pseudo_id AS p FROM game.events ORDER BY event_date, p")
    assert found.column("p").to_pylist() == ["only", "a", "c"]


def test_erasure_takes_rows_that_were_just_written(warehouse: InDataset) -> None:
    warehouse.append(GAME_EVENTS, events("a", "b"), key="event_id")
    warehouse.append(GAME_EVENTS, events("a", day=1))

    assert warehouse.erase(GAME_EVENTS, column="user_pseudo_id", values=["a"]) == 2
    assert warehouse.query("SELECT user_pseudo_id AS p FROM game.events").column("p").to_pylist() == ["b"]


def test_an_empty_table_can_replace_a_full_one(warehouse: InDataset) -> None:
    warehouse.append(TABLE, rows("a"), key="event_id")
    warehouse.replace(TABLE, rows())

    assert warehouse.describe(TABLE).rows == 0


def test_a_view_a_script_and_a_dry_run(warehouse: InDataset) -> None:
    warehouse.append(TABLE, rows("a", "b", score=[1, 2]), key="event_id")

    assert warehouse.query("CREATE VIEW game.best AS SELECT MAX(score) AS m FROM game.scores").num_columns == 0
    assert warehouse.query("DECLARE k INT64; SET k = (SELECT m FROM game.best); SELECT k AS best").to_pylist() == [
        {"best": 2}
    ]
    assert warehouse.estimate("SELECT score FROM game.scores").bytes_read > 0


@pytest.mark.skipif(not BUCKET, reason="needs a bucket in the same location: make test-gcp PROJECT=… BUCKET=…")
def test_rows_go_to_storage_and_come_back(bench: CloudBench, warehouse: InDataset) -> None:
    warehouse.append(TABLE, rows("a", "b", score=[1, 2]), key="event_id")
    where = f"gs://{BUCKET}/{bench.dataset}"
    target = f"OPTIONS (uri = '{where}/*.parquet', format = 'PARQUET')"
    warehouse.query(f"EXPORT DATA {target} AS SELECT * FROM game.scores")  # noqa: S608 - a bucket that the user named

    assert warehouse.inner.load_files(f"{bench.dataset}.back", [f"{where}/*.parquet"]) == 2
    assert warehouse.query("SELECT SUM(score) AS s FROM game.back").to_pylist() == [{"s": 3}]
