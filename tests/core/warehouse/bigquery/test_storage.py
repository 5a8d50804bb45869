"""Files of Cloud Storage are loaded by BigQuery itself; fake-gcs-server stands in for the storage."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.errors import BadInput
from questline_core.testing.bigquery.server import StandIn
from questline_core.testing.cloud_storage import storage_or_skip
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.load import load_source

BUCKET = "exports"


@pytest.fixture
def storage(google: StandIn) -> Iterator[str]:
    with storage_or_skip(BUCKET) as url:
        google.project.storage = url
        yield url


def put(storage: str, name: str, rows: pa.Table) -> str:
    file = io.BytesIO()
    pq.write_table(rows, file)
    where = f"{storage}/upload/storage/v1/b/{BUCKET}/o"
    httpx.post(where, params={"uploadType": "media", "name": name}, content=file.getvalue()).raise_for_status()
    return f"gs://{BUCKET}/{name}"


def test_all_files_of_a_pattern_are_loaded_and_replaced(storage: str, warehouse: BigQueryWarehouse) -> None:
    rows = pa.table({"id": ["a", "b"], "tags": [["x"], ["y", "z"]]})
    put(storage, "players-0.parquet", rows)
    put(storage, "players-1.parquet", rows)

    assert warehouse.load_files("game.players", [f"gs://{BUCKET}/players-*.parquet"]) == 4
    assert warehouse.load_files("game.players", [f"gs://{BUCKET}/players-0.parquet"]) == 2
    assert warehouse.describe("game.players").rows == 6
    assert warehouse.load_files("game.players", [f"gs://{BUCKET}/players-1.parquet"], replace=True) == 2
    assert warehouse.query("SELECT ARRAY_LENGTH(tags) AS n FROM game.players ORDER BY n").column(0).to_pylist() == [
        1,
        2,
    ]


def test_the_load_command_hands_a_url_to_bigquery(storage: str, warehouse: BigQueryWarehouse, google: StandIn) -> None:
    url = put(storage, "x.parquet", pa.table({"n": [1, 2, 3]}))

    assert load_source(warehouse, "game.x", url, schema=None, replace=False, tell=print) == 3
    loads = [job.resource["configuration"]["load"] for job in google.project.jobs.values()]
    assert loads[-1]["sourceUris"] == [url]


def test_what_cannot_be_loaded_says_why(storage: str, warehouse: BigQueryWarehouse) -> None:
    url = put(storage, "x.parquet", pa.table({"n": [1]}))
    warehouse.load_files("game.x", [url])

    with pytest.raises(BadInput, match=r"must all end in one of \.parquet"):
        warehouse.load_files("game.x", [f"gs://{BUCKET}/x.xlsx"])
    with pytest.raises(BadInput, match=r"Not found: URI gs://exports/nothing\.parquet"):
        warehouse.load_files("game.x", [f"gs://{BUCKET}/nothing.parquet"])
    with pytest.raises(BadInput, match="is INT64, but the rows bring STRING"):
        warehouse.load_files("game.x", [put(storage, "y.parquet", pa.table({"n": ["a"]}))])
    assert warehouse.describe("game.x").rows == 1
