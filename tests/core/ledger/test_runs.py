"""What became of a run is written once and told to whoever wants to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from questline_components.rollout.note_run import note_run
from questline_components.testing import run_step
from questline_core.errors import BadInput, NotReady
from questline_core.ledger.runs import Ended, note_end
from questline_core.testing.http_server import Handler, serving
from questline_core.warehouse.port import open_warehouse

FAILED = Ended(run="spend-7", pipeline="spend", state="FAILED", error="train failed: out of memory")


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    return f"duckdb:{tmp_path}/warehouse"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[Any]]]:
    told: list[Any] = []

    class Listens(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the name that the library calls
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(503 if "broken" in self.path else 204)
            self.end_headers()

    with serving(Listens) as url:
        yield url, told


def runs(address: str) -> list[Any]:
    with closing(open_warehouse(address)) as warehouse:
        return list(warehouse.query("SELECT run, pipeline, state, error FROM serving.runs ORDER BY run").to_pylist())


def test_the_step_writes_the_outcome_that_kubeflow_gives_it(
    warehouse: str, listener: tuple[str, list[Any]], tmp_path: Path
) -> None:
    address, told = listener
    status = dsl.PipelineTaskFinalStatus(
        state="FAILED",
        pipeline_job_resource_name="spend-7",
        pipeline_task_name="exit-handler-1",
        error_code=9,
        error_message="train failed: out of memory",
    )

    run_step(note_run, tmp_path, status=status, pipeline="spend", warehouse=warehouse, notify=address)

    row = {"run": "spend-7", "pipeline": "spend", "state": "FAILED", "error": "train failed: out of memory"}
    assert runs(warehouse) == [row]
    assert told == [row]


def test_a_run_is_written_once_also_when_it_has_to_be_told_again(
    warehouse: str, listener: tuple[str, list[Any]]
) -> None:
    address, told = listener
    with pytest.raises(NotReady, match="the end of spend-7 could not be told"):
        note_end(FAILED, warehouse=warehouse, notify=f"{address}/broken")
    note_end(FAILED, warehouse=warehouse, notify=address)

    assert len(runs(warehouse)) == 1
    assert len(told) == 2


def test_nobody_need_be_told(warehouse: str) -> None:
    note_end(FAILED, warehouse=warehouse, notify="")

    assert [one["state"] for one in runs(warehouse)] == ["FAILED"]


def test_an_address_of_another_kind_is_refused_before_anything_is_written(warehouse: str) -> None:
    with pytest.raises(BadInput, match="begins with https"):
        note_end(FAILED, warehouse=warehouse, notify="file:///etc/passwd")
