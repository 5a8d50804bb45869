"""The judge of GoogleSQL, and an embedded warehouse in a fresh folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from questline_core.events.schema import TABLES, bigquery_schema
from questline_core.testing.googlesql_judge import Judge
from questline_core.warehouse.embedded import EmbeddedWarehouse, open_embedded


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Judge:
    cache = request.config.cache
    assert cache is not None
    tables = {f"telemetry.{name}": bigquery_schema(message) for name, message in TABLES.items()}
    return Judge(cache.mkdir("googlesql"), tables)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[EmbeddedWarehouse]:
    with closing(open_embedded(str(tmp_path / "warehouse"))) as opened:
        yield opened
