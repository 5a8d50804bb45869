"""Tables, views, changes of rows and scripts on the embedded warehouse do what GoogleSQL says, or are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pyarrow as pa
import pytest

from questline_core.errors import BadInput
from questline_core.warehouse.embedded import EmbeddedWarehouse

MAKE = "CREATE TABLE game.t (a INT64 NOT NULL, s STRING, day DATE, w FLOAT64) PARTITION BY day CLUSTER BY a;"
FILL = "INSERT INTO game.t (a, s, day) VALUES (1, 'x', '2020-01-01'), (2, DEFAULT, DATE '2020-01-02'), (3, 'z', NULL);"


@pytest.fixture
def filled(warehouse: EmbeddedWarehouse) -> EmbeddedWarehouse:
    warehouse.query(MAKE + FILL)
    return warehouse


def pairs(warehouse: EmbeddedWarehouse) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in warehouse.query("SELECT a, s FROM game.t ORDER BY a").to_pylist()]


def test_a_table_is_made_with_its_types_and_filled(filled: EmbeddedWarehouse) -> None:
    assert filled.describe("game.t").schema.types == [pa.int64(), pa.string(), pa.date32(), pa.float64()]
    assert pairs(filled) == [(1, "x"), (2, None), (3, "z")]


def test_a_statement_that_is_no_query_gives_no_columns(filled: EmbeddedWarehouse) -> None:
    assert filled.query("DELETE FROM game.t WHERE a = 1").column_names == []


def test_a_table_is_made_from_a_query_and_replaced(warehouse: EmbeddedWarehouse) -> None:
    warehouse.query("CREATE TABLE game.t AS SELECT 1 AS x")
    warehouse.query("CREATE TABLE IF NOT EXISTS game.t AS SELECT 2 AS x")
    assert warehouse.query("SELECT x FROM game.t").to_pylist() == [{"x": 1}]
    with pytest.raises(BadInput, match="is there already; write CREATE OR REPLACE"):
        warehouse.query("CREATE TABLE game.t AS SELECT 2 AS x")

    warehouse.query("CREATE OR REPLACE TABLE game.t AS SELECT 'p' AS y")

    assert warehouse.query("SELECT * FROM game.t").to_pylist() == [{"y": "p"}]


def test_an_update_changes_the_rows_that_match(filled: EmbeddedWarehouse) -> None:
    filled.query("UPDATE game.t SET s = CONCAT('n', CAST(a AS STRING)), w = a WHERE a > 1")

    assert pairs(filled) == [(1, "x"), (2, "n2"), (3, "n3")]
    assert filled.query("SELECT w FROM game.t ORDER BY a").column("w").to_pylist() == [None, 2.0, 3.0]


def test_an_update_takes_values_of_another_table(filled: EmbeddedWarehouse) -> None:
    filled.query("UPDATE game.t SET s = u.s FROM (SELECT 1 AS k, 'joined' AS s) AS u WHERE t.a = u.k")

    assert pairs(filled) == [(1, "joined"), (2, None), (3, "z")]


def test_an_update_that_is_not_certain_is_refused_and_changes_nothing(filled: EmbeddedWarehouse) -> None:
    with pytest.raises(BadInput, match="UPDATE must match at most one source row"):
        filled.query(
            "UPDATE game.t SET s = u.s FROM UNNEST([STRUCT(1 AS k, 'p' AS s), STRUCT(1, 'q')]) AS u WHERE a = u.k"
        )

    assert pairs(filled) == [(1, "x"), (2, None), (3, "z")]


def test_a_delete_takes_rows_for_which_the_condition_holds_and_not_those_where_it_is_null(
    filled: EmbeddedWarehouse,
) -> None:
    filled.query("DELETE game.t WHERE s = 'x' OR day > '2030-01-01'")

    assert pairs(filled) == [(2, None), (3, "z")]


def test_a_merge_takes_the_first_branch_that_holds(filled: EmbeddedWarehouse) -> None:
    filled.query(
        "MERGE game.t AS t USING (SELECT 1 AS a, 'm' AS s UNION ALL SELECT 2, 'd' UNION ALL SELECT 9, 'new') AS u"
        " ON t.a = u.a"
        " WHEN MATCHED AND u.s = 'd' THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET s = CONCAT(t.s, u.s)"
        " WHEN NOT MATCHED THEN INSERT (a, s) VALUES (a, UPPER(s))"
        " WHEN NOT MATCHED BY SOURCE AND t.a = 3 THEN UPDATE SET s = 'lonely'"
    )

    assert pairs(filled) == [(1, "xm"), (3, "lonely"), (9, "NEW")]


def test_a_merge_on_false_replaces_a_day(filled: EmbeddedWarehouse) -> None:
    filled.query(
        "MERGE game.t AS t USING (SELECT 7 AS a, 'n' AS s, DATE '2020-01-02' AS day, NULL AS w) AS u ON FALSE"
        " WHEN NOT MATCHED BY SOURCE AND t.day = '2020-01-02' THEN DELETE WHEN NOT MATCHED THEN INSERT ROW"
    )

    assert pairs(filled) == [(1, "x"), (3, "z"), (7, "n")]


def test_a_key_may_come_again_after_its_row_was_deleted(warehouse: EmbeddedWarehouse) -> None:
    rows = pa.table({"k": ["a", "b"]})
    warehouse.create("game.k", rows.schema)
    warehouse.append("game.k", rows, key="k")
    warehouse.query("DELETE FROM game.k WHERE k = 'a'")

    assert warehouse.append("game.k", rows, key="k").rows == 1


def test_truncate_leaves_an_empty_table_and_drop_none(filled: EmbeddedWarehouse) -> None:
    filled.query("TRUNCATE TABLE game.t")
    assert pairs(filled) == []

    filled.query("DROP TABLE game.t; DROP TABLE IF EXISTS game.t")

    assert list(filled.tables()) == []


def test_a_view_is_asked_like_a_table(filled: EmbeddedWarehouse) -> None:
    filled.query(
        "CREATE VIEW game.v AS SELECT a + 1 AS b FROM game.t; CREATE VIEW game.w AS SELECT b * 2 AS c FROM game.v"
    )

    assert filled.query("SELECT v.c FROM game.w AS v ORDER BY c").column("c").to_pylist() == [4, 6, 8]
    filled.query("CREATE OR REPLACE VIEW game.v AS SELECT 0 AS b")
    assert filled.query("SELECT c FROM game.w").to_pylist() == [{"c": 0}]
    filled.query("DROP VIEW game.v")
    with pytest.raises(BadInput, match=r"in the view game.w: .* no table game.v"):
        filled.query("SELECT * FROM game.w")


@pytest.mark.parametrize("ask", [EmbeddedWarehouse.query, EmbeddedWarehouse.estimate])
def test_views_that_ask_each_other_in_a_ring_are_told(
    filled: EmbeddedWarehouse, ask: Callable[[EmbeddedWarehouse, str], object]
) -> None:
    filled.query("CREATE VIEW game.v AS SELECT a FROM game.t; CREATE VIEW game.w AS SELECT a FROM game.v")
    filled.query("CREATE OR REPLACE VIEW game.v AS SELECT a FROM game.w")

    with pytest.raises(BadInput, match=r"the view game\.v asks itself"):
        ask(filled, "SELECT a FROM game.v")


def test_a_view_may_be_asked_many_times_in_one_query(filled: EmbeddedWarehouse) -> None:
    filled.query("CREATE VIEW game.v AS SELECT a FROM game.t")
    everywhere = " UNION ALL ".join(["SELECT a FROM game.v"] * 20)

    assert filled.query(everywhere).num_rows == 20 * filled.describe("game.t").rows


def test_tables_of_one_wildcard_have_the_columns_of_the_newest(warehouse: EmbeddedWarehouse) -> None:
    warehouse.query("CREATE TABLE game.e_20200101 AS SELECT 1 AS x, STRUCT(1 AS q) AS st, 'gone' AS old")
    warehouse.query("CREATE TABLE game.e_20200102 AS SELECT 2 AS x, STRUCT(1 AS q, 'z' AS r) AS st, 'n' AS y")

    found = warehouse.query("SELECT *, _TABLE_SUFFIX AS day FROM `p.game.e_*` ORDER BY x").to_pylist()
    later = warehouse.query("SELECT x FROM `game.e_*` AS e WHERE e._TABLE_SUFFIX > '20200101'").to_pylist()

    assert found == [
        {"x": 1, "st": {"q": 1, "r": None}, "y": None, "day": "20200101"},
        {"x": 2, "st": {"q": 1, "r": "z"}, "y": "n", "day": "20200102"},
    ]
    assert later == [{"x": 2}]
    assert warehouse.query("SELECT * FROM game.e_*").column_names == ["x", "st", "y"]


def test_a_wildcard_over_other_types_is_refused(warehouse: EmbeddedWarehouse) -> None:
    warehouse.query("CREATE TABLE game.e_1 AS SELECT 'a' AS x; CREATE TABLE game.e_2 AS SELECT 2 AS x")

    with pytest.raises(BadInput, match=r"column x of game\.e_1 has another type"):
        warehouse.query("SELECT x FROM game.e_*")


def test_information_schema_tells_tables_columns_and_partitions(filled: EmbeddedWarehouse) -> None:
    filled.query("CREATE VIEW game.v AS SELECT a FROM game.t")

    def ask(text: str) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in filled.query(text).to_pylist()]

    assert ask("SELECT table_name, table_type FROM game.INFORMATION_SCHEMA.TABLES ORDER BY 1") == [
        ("t", "BASE TABLE"),
        ("v", "VIEW"),
    ]
    columns = "SELECT column_name, data_type, is_nullable, is_partitioning_column, clustering_ordinal_position"
    assert ask(f"{columns} FROM game.INFORMATION_SCHEMA.COLUMNS WHERE table_name = 't' ORDER BY ordinal_position") == [
        ("a", "INT64", "NO", "NO", 1),
        ("s", "STRING", "YES", "NO", None),
        ("day", "DATE", "YES", "YES", None),
        ("w", "FLOAT64", "YES", "NO", None),
    ]
    assert ask("SELECT partition_id, total_rows FROM game.INFORMATION_SCHEMA.PARTITIONS ORDER BY 1") == [
        ("20200101", 1),
        ("20200102", 1),
        ("__NULL__", 1),
    ]
    assert ask("SELECT schema_name FROM INFORMATION_SCHEMA.SCHEMATA") == [("game",)]


def test_a_script_has_variables_branches_and_loops(filled: EmbeddedWarehouse) -> None:
    found = filled.query(
        "DECLARE n, m INT64 DEFAULT 0; DECLARE days ARRAY<DATE>; DECLARE label STRING;\n"
        "SET days = (SELECT ARRAY_AGG(day IGNORE NULLS ORDER BY day) FROM game.t);\n"
        "WHILE n < 10 DO SET n = n + 1; IF n = 2 THEN CONTINUE; ELSEIF n = 4 THEN BREAK; END IF; SET m = m + n; END WHILE;\n"
        "FOR row IN (SELECT a AS k FROM game.t WHERE a < 3) DO SET m = m + row.k * 100; END FOR;\n"
        "BEGIN DECLARE inner_one INT64 DEFAULT m; SET (n, m) = (inner_one + 1, 5); END;\n"
        "SET label = CASE WHEN m = 5 THEN 'five' ELSE 'other' END;\n"
        "SELECT n AS v, m AS w, label AS l, ARRAY_LENGTH(days) AS d"
    )

    assert found.to_pylist() == [{"v": 305, "w": 5, "l": "five", "d": 2}]


def test_a_temporary_table_lives_as_long_as_its_script(warehouse: EmbeddedWarehouse) -> None:
    assert warehouse.query("CREATE TEMP TABLE x AS SELECT 7 AS q; SELECT q FROM x").to_pylist() == [{"q": 7}]
    with pytest.raises(BadInput, match="no table x"):
        warehouse.query("SELECT q FROM x")


def test_a_struct_and_an_array_of_structs_are_parameters(warehouse: EmbeddedWarehouse) -> None:
    found = warehouse.query(
        "SELECT @one.a AS a, (SELECT SUM(p.a) FROM UNNEST(@many) AS p) AS s", one={"a": 1, "b": "x"}, many=[{"a": 2}]
    )

    assert found.to_pylist() == [{"a": 1, "s": 2}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CREATE TABLE game.u (x NUMERIC)", "line 1, column 22: .* type NUMERIC"),
        ("CREATE TABLE game.u AS SELECT 1 AS x OPTIONS (x = 1)", "GoogleSQL|option"),
        ("CREATE TABLE game.u PARTITION BY nothing AS SELECT 1 AS x", "names no column"),
        ("INSERT INTO game.t (a, nope) VALUES (1, 2)", "there is no column nope; there are a, s, day, w"),
        ("INSERT INTO game.t (a) VALUES (1, 2)", "line 1, column .*: 2 values for 1 columns"),
        ("INSERT INTO game.t (s) VALUES ('no key')", "column a of game.t is required"),
        ("INSERT INTO game.t (a) VALUES ('text')", "column a of game.t is INT64, but the rows bring STRING"),
        ("UPDATE game.t SET a = 1", "UPDATE needs a WHERE"),
        ("DELETE FROM game.t", "DELETE needs a WHERE"),
        ("DELETE FROM game.nope WHERE TRUE", "line 1, column 13: there is no table game.nope"),
        ("SELECT 1;\nSELECT 1 +", "line 2"),
        ("SELECT 1;\n\nSELECT nope FROM game.t", "line 3, column 8: there is no column nope"),
        ("DECLARE a INT64 DEFAULT 1; SELECT a FROM game.t", "line 1, column 35: a is a variable and also a column"),
        ("DECLARE n INT64 DEFAULT 'x'", "line 1, column 1: the default does not fit INT64"),
        ("SET nope = 1", "the variable nope is not declared; write DECLARE nope INT64"),
        ("DECLARE n INT64; SET n = 'x'", "line 1, column 18: the variable n is BIGINT"),
        ("IF 1 THEN SELECT 1; END IF", "a condition is TRUE or FALSE"),
        ("IF TRUE THEN SELECT 1;", "the script ends before END"),
        ("BREAK", "this stands in no loop"),
        ("BEGIN TRANSACTION", "does not run BEGIN TRANSACTION"),
        ("EXECUTE IMMEDIATE 'SELECT 1'", "does not run EXECUTE in a script"),
        ("SELECT a FROM game.t TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE"),
        (
            "SELECT * FROM game.t FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()",
            "line 1, column 44: .* does not support VERSION",
        ),
        ("SELECT * FROM game.INFORMATION_SCHEMA.JOBS", "no INFORMATION_SCHEMA.JOBS here; there are SCHEMATA"),
        ("SELECT * FROM nope.INFORMATION_SCHEMA.TABLES", "no dataset nope"),
        ("SELECT * FROM nope_*", "no table matches nope_"),
        ("SELECT * EXCEPT (s) FROM game.t, UNNEST([1]) AS x", "EXCEPT or REPLACE over UNNEST"),
    ],
)
def test_what_is_wrong_in_a_statement_is_told_with_its_place(
    text: str, problem: str, filled: EmbeddedWarehouse
) -> None:
    with pytest.raises(BadInput, match=problem):
        filled.query(text)

    assert pairs(filled) == [(1, "x"), (2, None), (3, "z")]


def test_a_day_is_replaced_and_the_others_stay(filled: EmbeddedWarehouse) -> None:
    rows = pa.table({"a": [8, 9], "day": [date(2020, 1, 2)] * 2})

    filled.replace("game.t", rows, partition=date(2020, 1, 2))
    filled.replace("game.t", rows, partition=date(2020, 1, 2))

    assert pairs(filled) == [(1, "x"), (3, "z"), (8, None), (9, None)]


def test_rows_of_another_day_are_not_put_into_a_day(filled: EmbeddedWarehouse) -> None:
    with pytest.raises(BadInput, match="rows are of another day"):
        filled.replace("game.t", pa.table({"a": [8], "day": [date(2020, 1, 3)]}), partition=date(2020, 1, 2))
    filled.query("CREATE TABLE game.whole AS SELECT 1 AS x")
    with pytest.raises(BadInput, match="not divided into days"):
        filled.replace("game.whole", pa.table({"x": [1]}), partition=date(2020, 1, 2))


def test_erased_rows_are_gone_from_the_disk_at_once(filled: EmbeddedWarehouse) -> None:
    secret = "a-player-who-leaves"  # noqa: S105 - a name in a test
    filled.query("UPDATE game.t SET s = @s WHERE a = 1", s=secret)
    filled.query("UPDATE game.t SET w = 2 WHERE a = 1")
    folder = filled._store.folder("game.t")

    removed = filled.erase("game.t", column="s", values=[secret, "nobody"])

    assert removed == 1
    assert pairs(filled) == [(2, None), (3, "z")]
    named = set(filled._store.manifest("game.t").files) | {filled._store.manifest("game.t").schema}
    assert {path.name for path in folder.glob("*.parquet*")} == named
    assert filled.erase("game.t", column="s", values=[secret]) == 0
    with pytest.raises(BadInput, match="has no column nope"):
        filled.erase("game.t", column="nope", values=["x"])
