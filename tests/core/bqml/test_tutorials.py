"""BigQuery ML's own tutorials run as they are, on generated rows of their shape, with BigQuery's result columns."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from questline_core.bqml import Executor
from questline_core.cli import main
from questline_core.settings import Home
from questline_core.warehouse.port import open_warehouse

TUTORIALS = Path(__file__).parent / "tutorials"
GENERATED = {
    "bqml_tutorial.penguins": """
        SELECT ['Adelie', 'Chinstrap', 'Gentoo'][i % 3 + 1] AS species, ['Biscoe', 'Dream', 'Torgersen'][i % 7 % 3 + 1] AS island,
               38.0 + (i * 7919) % 160 / 10.0 AS culmen_length_mm, 14.0 + (i * 31) % 60 / 10.0 AS culmen_depth_mm,
               172e0 + (i * 17) % 59 AS flipper_length_mm,
               CASE WHEN i % 170 = 0 THEN NULL ELSE 3e3 + 25 * ((i * 17) % 59) + 400 * (i % 3 // 2) + (i * 104729) % 301 END AS body_mass_g,
               CASE WHEN i % 40 = 0 THEN NULL WHEN i % 2 = 0 THEN 'MALE' ELSE 'FEMALE' END AS sex
        FROM range(344) AS r(i)""",
    "bqml_tutorial.input_data": """
        SELECT 17 + (i * 31) % 60 AS age, ['Private', 'Self-emp', 'State-gov'][i % 3 + 1] AS workclass,
               ['Married', 'Never-married'][(i * 13) % 2 + 1] AS marital_status, 5 + (i * 7) % 11 AS education_num,
               ['Sales', 'Tech', 'Craft', '?'][(i * 11) % 4 + 1] AS occupation, 20 + (i * 19) % 41 AS hours_per_week,
               CASE WHEN (i * 7) % 11 + (i * 31) % 60 / 6.0 + (i * 104729) % 7 > 16 THEN ' >50K' ELSE ' <=50K' END AS income_bracket,
               CASE WHEN i % 10 < 8 THEN 'training' WHEN i % 10 = 8 THEN 'evaluation' ELSE 'prediction' END AS dataframe
        FROM range(2000) AS r(i)""",
    "babyweight.babyweight_data_train": "SELECT * FROM babies WHERE i % 5 < 4",
    "babyweight.babyweight_data_eval": "SELECT * FROM babies WHERE i % 5 = 4",
}  # fmt: skip
BABIES = """
    SELECT i, 7.0 + ((i * 31) % 15 - 9) * 0.25 - 1.5 * (i % 9 = 0)::INT + 0.3 * (i % 2) + (i * 104729) % 11 / 10.0 AS weight_pounds,
           CASE WHEN i % 2 = 1 THEN 'true' ELSE 'false' END AS is_male, 16 + (i * 17) % 28 AS mother_age,
           CASE WHEN i % 9 = 0 THEN 'Twins(2)' ELSE 'Single(1)' END AS plurality, 28 + (i * 31) % 15 AS gestation_weeks
    FROM range(2000) AS r(i)
"""


NAMES = ("penguins", "census", "babyweight")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one's own with the generated tables."""
    with duckdb.connect() as opened:
        opened.execute("CREATE SCHEMA bqml_tutorial; CREATE SCHEMA babyweight")
        opened.execute(f"CREATE VIEW babies AS {BABIES}")
        for table, sql in GENERATED.items():
            opened.execute(f"CREATE TABLE {table} AS {sql}")
        yield opened


def statements(name: str) -> Iterator[tuple[str, list[str]]]:
    """Give the tutorial's statements, each with BigQuery's columns of its result: none for CREATE MODEL."""
    for statement in re.split(r";\n", (TUTORIALS / f"{name}.sql").read_text()):
        wanted = re.search(r"-- columns: (.+)", statement)
        if statement.strip():
            yield statement, wanted[1].split(", ") if wanted else []


@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_runs_as_it_is_and_gives_bigquerys_columns(
    name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    bqml = Executor(connection, tmp_path)
    for statement, columns in statements(name):
        rows = bqml.run(statement)
        assert rows.column_names == columns
        assert bool(rows.num_rows) == bool(columns)
        assert "rmse" not in columns or rows.column("rmse")[0].as_py() < 2


@pytest.mark.parametrize("name", NAMES)
def test_questline_sql_runs_a_tutorial_on_the_embedded_warehouse(
    name: str,
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = Home(tmp_path / "home")
    with closing(open_warehouse(f"duckdb:{home.warehouse}")) as warehouse:
        for table in GENERATED:
            warehouse.replace(table, connection.sql(f"FROM {table}").to_arrow_table())
    monkeypatch.setenv("QUESTLINE_HOME", str(home.root))
    for statement, columns in statements(name):
        (file := tmp_path / "statement.sql").write_text(statement)
        monkeypatch.setattr(sys, "argv", ["questline", "sql", "--file", str(file), "--format", "json"])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        rows = json.loads(printed.out) if columns else []
        assert [list(row) for row in rows[:1]] == [columns] * bool(columns)
