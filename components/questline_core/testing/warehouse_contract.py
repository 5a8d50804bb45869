"""The rules that every warehouse keeps, as tests: subclass `WarehouseContract` and give the fixture `bench`."""

# ruff: noqa: D102, S101 - a contract suite is made of asserts, and a test's name is its rule

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pytest

from questline_core.errors import BadInput
from questline_core.warehouse.port import Warehouse, open_warehouse

TABLE = "game.scores"
BATCH_ROWS = 50
_PARAM = pa.struct(
    [("key", pa.string()), ("value", pa.struct([("string_value", pa.string()), ("int_value", pa.int64())]))]
)
_FIELDS: list[pa.Field[Any]] = [
    pa.field("event_id", pa.string(), nullable=False),
    pa.field("score", pa.int64()),
    pa.field("weight", pa.float64()),
    pa.field("won", pa.bool_()),
    pa.field("day", pa.date32()),
    pa.field("at", pa.timestamp("us", "UTC")),
    pa.field("params", pa.list_(_PARAM)),
]
SCHEMA = pa.schema(_FIELDS)


class WarehouseBench(Protocol):
    """One warehouse that is empty at first, and ways to reach it."""

    @property
    def address(self) -> str:
        """Where another process opens the same warehouse."""

    def open(self) -> Warehouse:
        """Open the warehouse once more, as another process would; the bench closes it."""


def rows(*ids: str, **columns: list[Any]) -> pa.Table:
    """Make rows with these event ids and, if given, other columns."""
    names = ["event_id", *columns]
    return pa.table({"event_id": list(ids), **columns}, schema=pa.schema([SCHEMA.field(name) for name in names]))


def batch(number: int) -> pa.Table:
    """Make one of many batches: `BATCH_ROWS` rows whose ids no other batch has."""
    return rows(*(f"{number}-{row}" for row in range(BATCH_ROWS)), score=[number] * BATCH_ROWS)


def append_for_ever(address: str) -> None:
    """Append batch after batch and print each number once it is durable; runs in a process that will be killed."""
    warehouse = open_warehouse(address)
    for number in count():
        warehouse.append(TABLE, batch(number), key="event_id")
        print(number, flush=True)  # noqa: T201 - read by the test


def read_for_ever(address: str) -> None:
    """Count rows and batches again and again and print both; runs in a process of its own."""
    warehouse = open_warehouse(address)
    while True:
        found = warehouse.query(f"SELECT COUNT(*) AS n, COUNT(DISTINCT score) AS b FROM {TABLE}").to_pylist()[0]  # noqa: S608
        print(found["n"], found["b"], flush=True)  # noqa: T201 - read by the test


@contextmanager
def elsewhere(function: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Run one of the functions above in another process, and kill it with -9 at the end."""
    code = f"from questline_core.testing import warehouse_contract as c; c.{function}({address!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str], number: int) -> list[str]:
    """Wait for so many lines of a process."""
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(number)]


def only(found: pa.Table) -> Any:
    """Take the one value of a result."""
    assert found.shape == (1, 1)
    return found.column(0)[0].as_py()


class WarehouseContract:
    """The tests; the fixture `bench` gives a `WarehouseBench`."""

    appends_watched: ClassVar[int] = 80
    """How many appends the readers of other processes see."""
    kills_after_s: ClassVar[Sequence[float]] = (0.0, 0.005, 0.013, 0.021)
    """How long after its third append a writer is killed, once each."""

    @pytest.fixture
    def warehouse(self, bench: WarehouseBench) -> Warehouse:
        opened = bench.open()
        opened.create(TABLE, SCHEMA)
        return opened

    def test_an_empty_table_has_its_columns_and_no_rows(self, warehouse: Warehouse) -> None:
        found = warehouse.query("SELECT * FROM game.scores")

        assert found.num_rows == 0
        assert found.schema.names == SCHEMA.names
        assert only(warehouse.query("SELECT SUM(score) AS s FROM game.scores")) is None
        assert warehouse.describe(TABLE).rows == 0

    def test_values_come_back_exactly(self, warehouse: Warehouse) -> None:
        row = {
            "event_id": "é'\"\\\n😀",
            "score": 2**63 - 1,
            "weight": 0.1,
            "won": False,
            "day": date(2018, 6, 12),
            "at": datetime(2018, 6, 12, 1, 2, 3, 4, tzinfo=UTC),
            "params": [{"key": "k", "value": {"string_value": None, "int_value": 2**53 + 1}}],
        }
        warehouse.append(TABLE, pa.Table.from_pylist([row], schema=SCHEMA))

        found = warehouse.query("SELECT * FROM game.scores")

        assert found.to_pylist() == [row]
        assert found.schema.field("score").type == pa.int64()
        assert found.schema.field("at").type == pa.timestamp("us", "UTC")

    def test_the_extremes_of_int64_survive_arithmetic(self, warehouse: Warehouse) -> None:
        numbers = [-(2**63), -1, 0, 2**53 + 1, 2**63 - 1]
        warehouse.append(TABLE, rows(*"abcde", score=numbers))

        found = warehouse.query("SELECT MIN(score) AS a, MAX(score) AS b, SUM(score) AS s FROM game.scores")

        assert found.to_pylist() == [{"a": numbers[0], "b": numbers[-1], "s": sum(numbers)}]
        assert set(found.schema.types) == {pa.int64()}

    def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(self, bench: WarehouseBench) -> None:
        older, warehouse = bench.open(), bench.open()
        older.create(TABLE, pa.schema(_FIELDS[:2]))
        older.append(TABLE, rows("a", score=[1]), key="event_id")
        older.append(TABLE, rows("b", score=[2]), key="event_id")

        warehouse.create(TABLE, SCHEMA)
        again = warehouse.append(TABLE, rows("b", "c", won=[False, True]), key="event_id")

        assert (again.rows, again.skipped) == (1, 1)
        found = warehouse.query("SELECT * FROM game.scores ORDER BY event_id")
        assert found.schema.names == SCHEMA.names
        assert [tuple(row.values())[:4] for row in found.to_pylist()] == [
            ("a", 1, None, None),
            ("b", 2, None, None),
            ("c", None, None, True),
        ]
        warehouse.query("DELETE FROM game.scores WHERE won OR score = 1")
        assert warehouse.query("SELECT event_id FROM game.scores").to_pylist() == [{"event_id": "b"}]
        with pytest.raises(BadInput, match="other columns"):
            warehouse.create(TABLE, pa.schema(_FIELDS[:2]))

    def test_columns_that_are_not_brought_become_null(self, warehouse: Warehouse) -> None:
        warehouse.append(TABLE, rows("a"))

        assert only(warehouse.query("SELECT COUNTIF(score IS NULL AND won IS NULL) AS n FROM game.scores")) == 1

    def test_an_unknown_column_is_refused_by_name(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"no column level"):
            warehouse.append(TABLE, pa.table({"event_id": ["a"], "level": [1]}))

    def test_a_column_of_another_type_is_refused_by_name(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"column score .* is INT64, but the rows bring STRING"):
            warehouse.append(TABLE, pa.table({"event_id": ["a"], "score": ["1"]}))

    def test_a_required_column_without_values_is_refused_by_name(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"event_id .* required"):
            warehouse.append(TABLE, pa.table({"score": [1]}))

        assert warehouse.describe(TABLE).rows == 0

    def test_a_key_is_stored_once_within_a_call_and_over_calls(self, warehouse: Warehouse) -> None:
        first = warehouse.append(TABLE, rows("a", "b", "a", score=[1, 2, 3]), key="event_id")
        second = warehouse.append(TABLE, rows("b", "c", score=[4, 5]), key="event_id")

        assert (first.rows, first.skipped, second.rows, second.skipped) == (2, 1, 1, 1)
        found = warehouse.query("SELECT event_id, score FROM game.scores ORDER BY event_id")
        assert found.column("score").to_pylist() == [1, 2, 5]

    def test_two_writers_store_a_key_once(self, bench: WarehouseBench, warehouse: Warehouse) -> None:
        other = bench.open()
        warehouse.append(TABLE, rows("a"), key="event_id")
        other.append(TABLE, rows("a", "b"), key="event_id")

        again = warehouse.append(TABLE, rows("a", "b", "c"), key="event_id")

        assert (again.rows, again.skipped) == (1, 2)

    def test_a_key_may_come_again_after_the_content_was_replaced(self, warehouse: Warehouse) -> None:
        warehouse.append(TABLE, rows("a"), key="event_id")
        warehouse.replace(TABLE, rows("b"))

        assert warehouse.append(TABLE, rows("a", "b"), key="event_id").rows == 1

    def test_a_row_without_a_key_is_refused(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"score"):
            warehouse.append(TABLE, rows("a", score=[None]), key="score")

    def test_a_table_must_be_made_before_rows_are_added(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"no table game.nothing"):
            warehouse.append("game.nothing", rows("a"))

    def test_making_a_table_again_keeps_its_rows(self, warehouse: Warehouse) -> None:
        warehouse.append(TABLE, rows("a"))
        warehouse.create(TABLE, SCHEMA)

        assert warehouse.describe(TABLE).rows == 1
        with pytest.raises(BadInput, match=r"other columns"):
            warehouse.create(TABLE, pa.schema([("event_id", pa.int64())]))

    def test_replace_takes_new_rows_and_new_columns_in_one_step(self, warehouse: Warehouse) -> None:
        warehouse.append(TABLE, rows("a", "b"))
        warehouse.replace(TABLE, pa.table({"x": [1]}))
        warehouse.replace("game.fresh", pa.table({"y": ["p"]}))

        assert warehouse.query("SELECT * FROM game.scores").to_pylist() == [{"x": 1}]
        assert list(warehouse.tables()) == ["game.fresh", TABLE]

    def test_the_version_changes_with_the_content_and_only_then(
        self, bench: WarehouseBench, warehouse: Warehouse
    ) -> None:
        versions = [warehouse.version(TABLE)]
        warehouse.append(TABLE, rows("a"), key="event_id")
        versions.append(warehouse.version(TABLE))
        warehouse.append(TABLE, rows("a"), key="event_id")
        warehouse.query("SELECT * FROM game.scores")

        assert warehouse.version(TABLE) == bench.open().version(TABLE) == versions[-1]
        warehouse.replace(TABLE, rows("a"))
        versions.append(warehouse.version(TABLE))
        assert len(set(versions)) == len(versions)

    def test_parameters_are_bound_with_their_types(self, warehouse: Warehouse) -> None:
        warehouse.append(TABLE, rows("a", "b'; DROP", score=[1, 2**62]))
        noon = datetime(2020, 1, 1, 12, tzinfo=UTC)

        found = warehouse.query(
            "SELECT @text AS text, @day AS day, @at AS at, @yes AS yes, @half AS half, @big AS big,"
            " @none IS NULL AS none,"
            " ARRAY(SELECT score FROM game.scores WHERE event_id IN UNNEST(@ids)) AS scores,"
            " (SELECT COUNT(*) FROM game.scores WHERE event_id IN UNNEST(@nobody)) AS nobody",
            text="b'; DROP", day=date(2020, 1, 1), at=noon, yes=True, half=0.5, big=2**62, none=None,
            ids=["b'; DROP"], nobody=[],
        )  # fmt: skip

        assert found.to_pylist() == [
            {"text": "b'; DROP", "day": date(2020, 1, 1), "at": noon, "yes": True, "half": 0.5, "big": 2**62,
             "none": True, "scores": [2**62], "nobody": 0}
        ]  # fmt: skip

    def test_a_parameter_without_a_value_is_named(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"@horizon"):
            warehouse.query("SELECT @horizon")

    def test_an_unknown_table_is_named_with_similar_ones(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"line 2, column 6: there is no table game.score; did you mean game.scores"):
            warehouse.query("SELECT *\nFROM game.score")

    def test_an_unknown_column_is_named_with_its_place(self, warehouse: Warehouse) -> None:
        with pytest.raises(BadInput, match=r"line 2, column 3: there is no column scor\b.*score"):
            warehouse.query("SELECT\n  scor\nFROM game.scores")

    def test_what_is_no_statement_is_refused(self, warehouse: Warehouse) -> None:
        for text in ("SELEC 1", "SELECT (1", "GRANT x", ""):
            with pytest.raises(BadInput):
                warehouse.query(text)

    def test_readers_in_other_processes_see_whole_appends_only(
        self, bench: WarehouseBench, warehouse: Warehouse
    ) -> None:
        with elsewhere("read_for_ever", bench.address) as one, elsewhere("read_for_ever", bench.address) as two:
            seen = lines(one, 1) + lines(two, 1)
            for number in range(self.appends_watched):
                warehouse.append(TABLE, batch(number), key="event_id")
            seen += lines(one, 30) + lines(two, 30)

        counts = [tuple(map(int, line.split())) for line in seen]
        assert all(found == batches * BATCH_ROWS for found, batches in counts)
        assert len(set(counts)) > 2  # noqa: PLR2004 - the readers did watch it grow

    def test_a_killed_writer_leaves_whole_appends(self, bench: WarehouseBench, warehouse: Warehouse) -> None:
        for pause_s in self.kills_after_s:
            with elsewhere("append_for_ever", bench.address) as writer:
                durable = int(lines(writer, 3)[-1])
                time.sleep(pause_s)
            found = only(warehouse.query("SELECT COUNT(*) AS n FROM game.scores"))
            assert found % BATCH_ROWS == 0
            assert found >= (durable + 1) * BATCH_ROWS

        again = warehouse.append(TABLE, batch(0), key="event_id")
        assert (again.rows, again.skipped) == (0, BATCH_ROWS)
