"""Every refusal of a statement begins with its place in the text and says what is allowed: one statement for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from questline_core.bqml import Executor
from questline_core.errors import BadInput
from questline_core.warehouse.embedded import open_embedded

BLOCKS = (Path(__file__).parent / "errors.txt").read_text(encoding="utf-8").split("\n\n")[1:]
ERRORS = dict(block.strip("\n").split("\n    ") for block in BLOCKS)
MODELS = {
    "lin": "OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS SELECT bill, species, mass",
    "log": "OPTIONS(MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['heavy']) AS SELECT bill, flipper, heavy",
    "multi": "OPTIONS(MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['species'], ENABLE_GLOBAL_EXPLAIN=TRUE) AS SELECT bill, flipper, species",
    "glin": "OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass'], ENABLE_GLOBAL_EXPLAIN=TRUE) AS SELECT bill, species, mass",
    "trees": "OPTIONS(MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS=['heavy'], MAX_ITERATIONS=3) AS SELECT bill, flipper, heavy",
    "tr": "TRANSFORM(ML.STANDARD_SCALER(bill) OVER() AS b, ML.BUCKETIZE(flipper, [180, 200]) AS f, mass) OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS SELECT bill, flipper, mass",
    "arr": "OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS SELECT [species] AS a, [bill, bill] AS v, mass",
}  # fmt: skip


@dataclass(frozen=True)
class Zoo:
    """The same animals and models on the warehouse of `questline sql`, and on a DuckDB of one's own."""

    ways: tuple[Callable[[str], Any], ...]

    def refusals(self, statement: str) -> list[str]:
        """Give the text of each way's error."""
        found = list[str]()
        for run in self.ways:
            with pytest.raises(BadInput) as caught:
                run(statement.replace("⏎", "\n"))
            found.append(str(caught.value))
        return found


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory, animals: str) -> Iterator[Zoo]:
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "file").write_text("no folder")
    with (
        pytest.MonkeyPatch.context() as here,
        duckdb.connect() as database,
        closing(open_embedded(str(folder / "warehouse"))) as warehouse,
    ):
        here.chdir(folder)  # places in the text do not depend on a folder's name
        database.execute(f"CREATE SCHEMA zoo; {animals}")
        columns = "bill::DOUBLE AS bill, flipper::DOUBLE AS flipper, mass::DOUBLE AS mass"
        rows = database.sql(f"SELECT * REPLACE ({columns}) FROM zoo.animals").to_arrow_table()  # noqa: S608 - our own text
        warehouse.replace("zoo.animals", rows)
        ways = (warehouse.query, Executor(database, folder / "models").run)
        for run in ways:
            for name, rest in MODELS.items():
                run(f"CREATE MODEL zoo.{name} {rest} FROM zoo.animals")
        yield Zoo(ways)


@pytest.mark.parametrize("statement", ERRORS)
def test_a_refusal_begins_with_its_place_and_says_what_is_allowed(statement: str, zoo: Zoo) -> None:
    expected = ERRORS[statement]

    assert expected.startswith("line ")
    assert [text[: len(expected)] for text in zoo.refusals(statement)] == [expected] * 2


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT lost FROM (\nSELECT 1 AS a)", "line 1, column 8: there is no column lost"),
        ("SELECT * FROM zoo.lost", "line 1, column "),
        ("CREATE TEMP MODEL zoo.x OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT 1 AS label", "line 1, column 1: "),
        ("SELECT ML.PREDICT(MODEL zoo.lin, TABLE zoo.animals)", "line 1, column 8: ML.PREDICT "),
        ("SELECT ML.STANDARD_SCALER(bill) OVER() FROM zoo.animals", "line 1, column 8: ML.STANDARD_SCALER "),
        ("SELECT *\nFROM ML.PREDICT(MODEL zoo.lin", "line 2, column 16: "),
    ],
)
def test_both_ways_tell_the_place_where_their_sentences_differ(statement: str, expected: str, zoo: Zoo) -> None:
    assert all(text.startswith(expected) for text in zoo.refusals(statement))


def test_a_model_cannot_take_the_name_of_a_table(zoo: Zoo) -> None:
    with pytest.raises(
        BadInput, match=r"line 1, column 14: there is a table zoo\.animals; give the model another name"
    ):
        zoo.ways[0](f"CREATE MODEL zoo.animals {MODELS['lin']} FROM zoo.animals")


def test_a_place_that_cannot_be_written_is_told(zoo: Zoo) -> None:
    model, rows = (
        zoo.refusals("EXPORT MODEL zoo.trees OPTIONS(URI='file')"),
        zoo.refusals("EXPORT DATA OPTIONS(uri='file/d-*.csv', format='CSV') AS SELECT 1 AS a"),
    )

    assert all(text.startswith("line 1, column 32: cannot write to file (") for text in model)
    assert all(text.startswith("line 1, column 21: cannot write to file/d-*.csv (") for text in rows)


def test_a_sparse_vector_too_large_for_memory_is_refused(zoo: Zoo) -> None:
    statement = "CREATE MODEL zoo.x OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS SELECT [STRUCT(9999999999 AS i, 2.0 AS v)] AS s, mass FROM zoo.animals"

    assert all("column s has 10,000,000,000 places in 480 rows" in text for text in zoo.refusals(statement))


def test_a_whole_number_too_large_to_be_exact_is_a_feature(zoo: Zoo) -> None:
    for run in zoo.ways:
        run(
            f"CREATE OR REPLACE MODEL zoo.big {MODELS['lin'].replace('bill', '9007199254740993 + id AS big')} FROM zoo.animals"
        )
