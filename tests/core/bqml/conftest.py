"""A DuckDB with generated animals, and the executor over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from questline_core.bqml import Executor

_ANIMALS = """
    CREATE TABLE zoo.animals AS SELECT
        i AS id,
        CASE i % 3 WHEN 0 THEN 'Adelie' WHEN 1 THEN 'Chinstrap' ELSE 'Gentoo' END AS species,
        CASE WHEN i % 5 < 2 THEN 'Biscoe' WHEN i % 5 = 2 THEN NULL ELSE 'Dream' END AS island,
        CASE WHEN i % 11 = 0 THEN NULL ELSE 170.0 + i % 50 END AS flipper,
        35.0 + (i * 7919) % 1000 / 50.0 AS bill,
        i % 2 = 0 AS tagged,
        3000.0 + 10 * (i % 50) + CASE WHEN i % 3 = 2 THEN 800 ELSE 0 END + (i * 104729) % 97 AS mass,
        CASE WHEN (i % 50) + (i * 104729) % 31 > 40 THEN 1 ELSE 0 END AS heavy
    FROM range(600) AS r(i)
"""


@pytest.fixture(scope="session")
def animals() -> str:
    """Give the statement that makes the generated animals."""
    return _ANIMALS


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as database:
        database.execute("CREATE SCHEMA zoo")
        database.execute(_ANIMALS)
        yield database


@pytest.fixture
def bqml(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> Executor:
    return Executor(connection, tmp_path / "models")


@pytest.fixture
def rows(bqml: Executor) -> Callable[..., list[dict[str, Any]]]:
    def rows_of(sql: str, **parameters: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = bqml.run(sql, **parameters).to_pylist()
        return found

    return rows_of


@pytest.fixture
def train(bqml: Executor) -> Callable[..., None]:
    """Train zoo.m of a type on some columns of the animals."""

    def trained(model_type: str, label: str, columns: str, extra: str = "", transform: str = "") -> None:
        options = f"MODEL_TYPE='{model_type}', INPUT_LABEL_COLS=['{label}']{extra and ', '}{extra}"
        bqml.run(
            f"CREATE OR REPLACE MODEL zoo.m {transform} OPTIONS({options}) AS SELECT {columns}, {label} FROM zoo.animals"  # noqa: S608
        )

    return trained
