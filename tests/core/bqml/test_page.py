"""The page about BigQuery ML tells what the code does, and each of its promises names a test that exists."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from questline_core.bqml.answers import ANSWERS
from questline_core.bqml.functions import FUNCTIONS
from questline_core.bqml.options import MODEL_TYPES, NOT_HERE, OPTIONS
from questline_core.warehouse.columns import type_name
from questline_core.warehouse.embedded import open_embedded

TYPES = {
    **dict.fromkeys(("island", "feature", "processed_input", "input"), "STRING"),
    **dict.fromkeys(("heavy", "predicted_heavy", "expected_label"), "BOOL"),
    **dict.fromkeys(("id", "false", "true", "training_run", "iteration", "duration_ms", "importance_weight"), "INT64"),
    **dict.fromkeys(("true_positives", "false_positives", "true_negatives", "false_negatives"), "INT64"),
    **dict.fromkeys(("category_count", "null_count", "dimension"), "INT64"),
    "predicted_heavy_probs": "ARRAY<STRUCT<label BOOL, prob FLOAT64>>",
    "top_feature_attributions": "ARRAY<STRUCT<feature STRING, attribution FLOAT64>>",
    "category_weights": "ARRAY<STRUCT<category STRING, weight FLOAT64>>",
}
"""Types of the columns in the page's results; all others are FLOAT64."""
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "bqml.md").read_text(encoding="utf-8")


def test_the_page_names_every_model_type_function_and_option() -> None:
    named = set(re.findall(r"[A-Z][A-Z0-9_]+", PAGE))

    assert {*MODEL_TYPES, *ANSWERS, *FUNCTIONS, *OPTIONS, *NOT_HERE} <= named


def test_the_page_gives_each_options_default() -> None:
    options = PAGE.partition("## Options")[2].partition("\n## ")[0]
    rows = {
        row[0].strip("` "): row[2].strip()
        for row in re.findall(r"^\| (`[A-Z0-9_]+`) \|([^|]*)\|([^|]*)\|", options, re.MULTILINE)
    }

    for name, option in OPTIONS.items():
        if name != "LABELS" and option.default is not None:
            default = option.default
            shown = (
                str(default).upper()
                if isinstance(default, bool)
                else f"{default:g}"
                if not isinstance(default, str)
                else default
            )
            assert rows[name].split(";")[0] == shown, name


def test_every_statement_and_divergence_names_a_test_that_exists() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    rows = [line for line in PAGE.splitlines() if "`test_" in line]
    missing = [name for line in rows for name in re.findall(r"`(test_\w+)`", line) if f"def {name}(" not in tests]

    assert len(rows) > 30
    assert not missing


def test_the_pages_statements_run_in_their_order_and_give_the_columns_that_it_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = re.findall(r"```sql\n(.+?)```", PAGE, re.DOTALL)[0]
    statements = [text for text in script.split(";\n") if text.strip()]
    monkeypatch.chdir(tmp_path)
    with closing(open_embedded("warehouse")) as warehouse:
        for text in statements:
            told = re.search(r"^-- (.+)", text, re.MULTILINE)
            rows = warehouse.query(text)
            assert rows.column_names == (told[1].split(", ") if told else []), text
            assert bool(rows.num_rows) == bool(told), text
            for field in rows.schema:
                assert type_name(field.type) == TYPES.get(field.name, "FLOAT64"), f"{field.name} of {text}"

    asked = {*re.findall(r"FROM ML\.(\w+)", script)}
    assert asked == set(ANSWERS)
    assert (tmp_path / "heavy-000000000000.csv").read_text().startswith("id;predicted_heavy\n")
    assert (tmp_path / "trees" / "model.bst").exists()


def test_the_readmes_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "components/questline_core/bqml/README.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect("players.duckdb") as connection:
        connection.execute("CREATE SCHEMA game")
        connection.execute(
            "CREATE TABLE game.players AS SELECT i AS player, i % 7 AS games, i % 7 // 4 AS churned FROM range(40) AS r(i)"
        )

    exec(re.findall(r"```python\n(.+?)```", readme, re.DOTALL)[0] + "\nconnection.close()", {})  # noqa: S102 - it is our page
