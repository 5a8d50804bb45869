"""A stand-in for BigQuery, and warehouses that reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from questline_core.testing.bigquery.server import StandIn, stand_in
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.port import Warehouse, open_warehouse


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with stand_in(tmp_path / "google") as running:
        monkeypatch.setenv("QUESTLINE_BIGQUERY_ENDPOINT", running.endpoint)
        monkeypatch.setenv("QUESTLINE_BIGQUERY_WRITE_ENDPOINT", running.write_endpoint)
        yield running


@dataclass
class CloudBench:
    address: str
    opened: ExitStack

    def open(self) -> Warehouse:
        return self.opened.enter_context(closing(open_warehouse(self.address)))


@pytest.fixture
def bench(google: StandIn) -> Iterator[CloudBench]:
    with ExitStack() as opened:
        yield CloudBench(google.address, opened)


@pytest.fixture
def warehouse(google: StandIn) -> Iterator[BigQueryWarehouse]:
    with closing(open_warehouse(google.address)) as opened:
        assert isinstance(opened, BigQueryWarehouse)
        yield opened
