"""Tables: how they are laid out, replaced, erased from, described and loaded from storage."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from questline_core.errors import BadInput
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.server import StandIn
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.bigquery.shapes import fields_of, schema_of
from questline_core.warehouse.columns import same_columns
from questline_core.warehouse.port import EVENTS

SCALARS: tuple[pa.DataType, ...] = (
    pa.int64(), pa.float64(), pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.date32(), pa.time64("us"), pa.binary(),
    pa.bool_(), pa.decimal128(38, 9), pa.decimal256(76, 38),
)  # fmt: skip
MONDAYS = date(2025, 11, 3)
PLAYERS = "SELECT user_pseudo_id AS p FROM telemetry.events ORDER BY p"


def players(warehouse: BigQueryWarehouse) -> list[str]:
    return [str(player) for player in warehouse.query(PLAYERS).column("p").to_pylist()]


def test_the_events_table_is_laid_out_and_described_by_the_contract(
    google: StandIn, warehouse: BigQueryWarehouse
) -> None:
    warehouse.create(EVENTS, arrow_schema(Event))

    resource = google.project.table(EVENTS)
    columns = {column["name"]: column for column in resource["schema"]["fields"]}
    assert resource["timePartitioning"] == {"type": "DAY", "field": "event_date"}
    assert resource["clustering"] == {"fields": ["user_pseudo_id", "event_name"]}
    assert columns["event_id"]["mode"] == "REQUIRED"
    assert columns["event_id"]["description"].startswith("Chosen by the client")
    assert same_columns(warehouse.describe(EVENTS).schema, arrow_schema(Event))


def test_every_type_survives_the_way_to_bigquery_and_back() -> None:
    inner = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
    fields: list[pa.Field[Any]] = [
        pa.field("needed", pa.string(), nullable=False),
        *(pa.field(f"c{index}", kind) for index, kind in enumerate(SCALARS)),
        pa.field("inner", inner),
        pa.field("list", pa.list_(inner)),
    ]
    schema = pa.schema(fields)

    back = schema_of(fields_of("game.x", schema))

    assert same_columns(back, schema)
    assert not back.field("needed").nullable
    with pytest.raises(BadInput, match="column odd is month_day_nano_interval, which BigQuery does not have"):
        fields_of("game.x", pa.schema([("odd", pa.month_day_nano_interval())]))


def test_one_day_is_replaced_and_the_others_stay(warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, [an_event("mon", MONDAY), an_event("tue", MONDAY + DAY)])
    monday = warehouse.query("SELECT * FROM telemetry.events WHERE event_date = @day", day=MONDAYS)
    again = monday.set_column(
        monday.schema.get_field_index("user_pseudo_id"), monday.schema.field("user_pseudo_id"), pa.array(["again"])
    )

    warehouse.replace(EVENTS, again, partition=MONDAYS)
    warehouse.replace(EVENTS, again, partition=MONDAYS)

    assert players(warehouse) == ["again", "tue"]


def test_a_day_takes_no_rows_of_another_day(warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, [an_event("mon", MONDAY)])
    rows = warehouse.query("SELECT * FROM telemetry.events")

    with pytest.raises(BadInput, match=r"rows for 2025-11-04 of telemetry\.events have 2025-11-03 in event_date"):
        warehouse.replace(EVENTS, rows, partition=date(2025, 11, 4))
    warehouse.replace("game.x", pa.table({"n": [1]}))
    with pytest.raises(BadInput, match=r"game\.x is not divided into days"):
        warehouse.replace("game.x", pa.table({"n": [1]}), partition=MONDAYS)


def test_a_replacement_keeps_the_layout(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, [an_event("mon", MONDAY)])

    warehouse.replace(EVENTS, warehouse.query("SELECT * FROM telemetry.events"))

    assert google.project.table(EVENTS)["timePartitioning"]["field"] == "event_date"
    assert google.project.table(EVENTS)["clustering"] == {"fields": ["user_pseudo_id", "event_name"]}


def test_a_large_table_is_uploaded_in_parts(warehouse: BigQueryWarehouse) -> None:
    # Larger than one multipart request may be: the bytes don't compress.
    noise = [random.Random(number).randbytes(1_000_000) for number in range(12)]

    warehouse.replace("game.x", pa.table({"raw": noise}))

    assert warehouse.query("SELECT raw FROM game.x").column(0).to_pylist() == noise


def test_erasure_counts_the_rows_and_finds_those_on_their_way(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    fill(warehouse, [an_event("a", MONDAY), an_event("a", MONDAY + DAY), an_event("b", MONDAY)])
    google.project.faults.order(Fault.QUOTA)
    with pytest.raises(Exception, match="quota"):
        fill(warehouse, [an_event("a", MONDAY + 2 * DAY)])

    assert warehouse.erase(EVENTS, column="user_pseudo_id", values=["a", "nobody"]) == 3

    assert players(warehouse) == ["b"]
    behind = google.project.warehouse
    assert [behind.describe(name).rows for name in behind.tables() if "._questline_" in name] == [0]
    assert warehouse.erase(EVENTS, column="user_pseudo_id", values=[]) == 0
    with pytest.raises(BadInput, match="there is no column nothing"):
        warehouse.erase(EVENTS, column="nothing", values=["a"])
    with pytest.raises(BadInput, match="is no name of a column"):
        warehouse.erase(EVENTS, column="a = a OR b", values=["a"])


def test_names_that_are_none_are_refused(warehouse: BigQueryWarehouse) -> None:
    for name in ("x", "a.b.c", "a.b;c", "a.b$20200101"):
        with pytest.raises(BadInput, match="is no name of a table"):
            warehouse.describe(name)


def test_views_and_scripts_are_bigquerys_own(warehouse: BigQueryWarehouse) -> None:
    warehouse.replace("game.x", pa.table({"n": [1, 2, 3]}))

    assert warehouse.query("CREATE VIEW game.v AS SELECT n FROM game.x WHERE n > 1").num_columns == 0
    assert warehouse.query("SELECT SUM(n) AS s FROM game.v").to_pylist() == [{"s": 5}]
    assert warehouse.query("DECLARE k INT64 DEFAULT 2; SET k = k + 1; SELECT k AS last").to_pylist() == [{"last": 3}]
