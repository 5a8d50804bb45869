"""Jobs start once, are tried again where that helps, and end within their time."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.server import StandIn
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.port import open_warehouse


def jobs(google: StandIn) -> list[dict[str, Any]]:
    return [job.resource for job in google.project.jobs.values()]


@pytest.mark.parametrize("fault", [Fault.INSERT_REFUSED, Fault.INSERT_ANSWER_LOST, Fault.RATE_LIMIT])
def test_a_request_that_must_be_sent_again_starts_one_job(
    google: StandIn, warehouse: BigQueryWarehouse, fault: Fault
) -> None:
    google.project.faults.order(fault)

    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    assert google.project.faults.happened[fault] == 1
    assert len(jobs(google)) == 1


def test_a_job_that_bigquery_failed_is_started_anew(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    google.project.faults.order(Fault.JOB_BACKEND_ERROR)

    assert warehouse.query("SELECT 1 AS one").num_rows == 1
    assert [job["status"].get("errorResult", {}).get("reason") for job in jobs(google)] == ["backendError", None]


def test_a_load_whose_answer_was_lost_leaves_its_rows_once(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    google.project.faults.order(Fault.JOB_BACKEND_ERROR)
    warehouse.replace("game.x", pa.table({"n": [1, 2]}))

    assert warehouse.describe("game.x").rows == 2


def test_every_job_carries_labels_a_time_limit_and_a_cost_limit(google: StandIn) -> None:
    options = {"labels": {"team": "growth"}, "maximum_bytes_billed": 10**9, "timeout_s": 30}
    with closing(open_warehouse(google.address, **options)) as warehouse:
        warehouse.query("SELECT 1 AS one")
        warehouse.replace("game.x", pa.table({"n": [1]}))

    query, *_, load = jobs(google)  # between them the load that found no dataset
    assert query["configuration"]["labels"] == {"team": "growth", "questline": "query"}
    assert query["configuration"]["query"]["maximumBytesBilled"] == "1000000000"
    assert load["configuration"]["labels"] == {"team": "growth", "questline": "load"}
    assert {job["configuration"]["jobTimeoutMs"] for job in (query, load)} == {"30000"}
    assert query["jobReference"]["jobId"].startswith("questline-query-")


def test_a_query_that_would_cost_too_much_is_refused_with_both_numbers(google: StandIn) -> None:
    with (
        closing(open_warehouse(google.address, maximum_bytes_billed=1)) as warehouse,
        pytest.raises(BadInput, match=r"billed for 10,485,760 bytes, and the limit is 1; .*MAXIMUM_BYTES_BILLED"),
    ):
        warehouse.query("SELECT 1 AS one")


def test_a_long_result_comes_whole_and_in_order(warehouse: BigQueryWarehouse) -> None:
    found = warehouse.query("SELECT n FROM UNNEST(GENERATE_ARRAY(1, 1234)) AS n ORDER BY n")

    assert found.column("n").to_pylist() == list(range(1, 1235))


def test_a_dry_run_starts_nothing_and_tells_the_price(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    warehouse.replace("game.x", pa.table({"n": list(range(1000))}))
    before = len(jobs(google))

    estimate = warehouse.estimate("SELECT n FROM game.x")

    assert estimate.bytes_read > 0
    assert estimate.usd == estimate.bytes_read / 2**40 * 6.25
    assert len(jobs(google)) == before
    with pytest.raises(BadInput, match=r"line 1, column 15: there is no table game\.y; did you mean game\.x"):
        warehouse.estimate("SELECT * FROM game.y")


def test_missing_rights_name_the_page_that_lists_them(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    google.project.faults.order(Fault.FORBIDDEN)

    with pytest.raises(BadInput, match=r"does not have bigquery\.jobs\.create; docs/bigquery\.md lists the roles"):
        warehouse.query("SELECT 1 AS one")


def test_a_used_up_quota_is_something_to_wait_for(google: StandIn, warehouse: BigQueryWarehouse) -> None:
    google.project.faults.order(Fault.QUOTA)

    with pytest.raises(NotReady, match=r"a quota of the project is used up.*try again later"):
        warehouse.query("SELECT 1 AS one")


def test_a_server_that_is_not_there_is_given_up_in_time() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        options = {"endpoint": f"http://{place}", "write_endpoint": place, "timeout_s": 0.5}
        with (
            closing(open_warehouse("bigquery:stand-in", **options)) as warehouse,
            pytest.raises(NotReady, match=r"the query got no answer from BigQuery in time"),
        ):
            warehouse.query("SELECT 1")


def test_two_columns_of_one_name_are_refused(warehouse: BigQueryWarehouse) -> None:
    with pytest.raises(BadInput, match=r"named"):
        warehouse.query("SELECT 1 AS a, 2 AS a")


@pytest.mark.parametrize("rest", ["", "Upper", "a/b/c", "x"])
def test_what_is_no_project_is_refused(rest: str) -> None:
    with pytest.raises(BadInput, match="names no project"):
        open_warehouse(f"bigquery:{rest}", endpoint="http://127.0.0.1:1", write_endpoint="127.0.0.1:1")
