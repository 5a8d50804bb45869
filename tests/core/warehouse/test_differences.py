"""Every difference from GoogleSQL that the README of the warehouse lists is as it says, and none is listed untested."""

# ruff: noqa: S608 - literals of this file

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.warehouse.embedded import EmbeddedWarehouse, open_embedded

NAN = "CAST('nan' AS FLOAT64)"
ANSWERED: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "float results beyond": {"SELECT EXP(1000)": [math.inf]},
    "NaN in ORDER BY": {
        f"SELECT CAST(MAX(x) AS STRING) FROM UNNEST([1.0, {NAN}]) AS x": ["nan"],
        f"SELECT {NAN} = {NAN}": [True],
        f"SELECT CAST(x AS STRING) FROM UNNEST([1.5, {NAN}]) AS x ORDER BY x": ["1.5", "nan"],
    },
    "an array with a NULL": {"SELECT [1, NULL]": [[1, None]]},
    "APPROX_QUANTILES": {"SELECT APPROX_QUANTILES(x, 4) FROM UNNEST(GENERATE_ARRAY(1, 9)) AS x": [[1, 3, 5, 7, 9]]},
    "UNION ALL of STRUCTs": {
        "SELECT STRUCT(1 AS a, 2 AS b) UNION ALL SELECT STRUCT(3 AS b, 4 AS a)": [{"a": 1, "b": 2}, {"a": 4, "b": 3}]
    },
    "JSON_VALUE of a number": {"""SELECT JSON_VALUE('{"a": 1.50}', '$.a')""": ["1.5"]},
    "tables of a wildcard": {"SELECT * FROM `game.day_*` ORDER BY 1": [None, 1, 2]},
    "INFORMATION_SCHEMA": {"SELECT DISTINCT table_catalog FROM game.INFORMATION_SCHEMA.TABLES": ["questline"]},
    "PARTITION BY": {
        "CREATE TABLE game.t (d DATE) PARTITION BY d CLUSTER BY d OPTIONS (description = 'x', labels = [('a', 'b')])": []
    },
    "a comparison of text": {"SELECT '1' = 1": [True]},
    "a date minus a date": {"SELECT DATE '2020-01-03' - DATE '2020-01-01'": [2]},
}
REFUSED: Mapping[str, Mapping[str, str]] = {
    "`key` for `p.key`": {
        "SELECT (SELECT MAX(key) FROM UNNEST(q.p)) FROM (SELECT IF(TRUE, ps, ps) AS p, 'no' AS key FROM game.lists) AS q": "say whose it is",
        "SELECT (SELECT MAX(key) FROM UNNEST(q.p)) FROM (SELECT IF(TRUE, ps, ps) AS p FROM game.lists) AS q": "no column",
    },
    "a variable of a script": {"DECLARE a INT64 DEFAULT 9; SELECT a FROM game.day_1": "also a column or alias"},
    "INFORMATION_SCHEMA": {"SELECT * FROM game.INFORMATION_SCHEMA.VIEWS": "there are SCHEMATA, TABLES"},
    "PARTITION BY": {"CREATE TABLE game.u (d DATE) OPTIONS (kms_key_name = 'x')": "option kms_key_name"},
    "DML on a TEMP TABLE": {
        "CREATE TEMP TABLE t AS SELECT 1 AS x; DELETE FROM t WHERE TRUE": "t cannot be changed",
        "BEGIN TRANSACTION": "does not run BEGIN TRANSACTION",
        "BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 1; END": "no EXCEPTION",
        "EXECUTE IMMEDIATE 'SELECT 1'": "does not run EXECUTE",
        "CREATE PROCEDURE game.p() BEGIN SELECT 1; END": "line 1, column 18",
        "DECLARE s STRUCT<a INT64>; SET s.a = 1": "line 1, column 33",
    },
    "a comparison of text": {"SELECT 'a' = 1": "Could not convert string 'a'"},
    "NUMERIC, JSON": {
        "SELECT CAST(1 AS NUMERIC)": "the type DECIMAL",
        "SELECT JSON '1'": "PARSE_JSON",
        "SELECT ST_GEOGPOINT(1, 2)": "ST_GEOGPOINT",
        "SELECT * FROM (SELECT 1 AS x) PIVOT(SUM(x) FOR x IN (1))": "no PIVOT",
        "SELECT * FROM (SELECT 1 AS x) UNPIVOT(y FOR z IN (x))": "no PIVOT",
        "SELECT 1 FROM game.day_1 TABLESAMPLE SYSTEM (10 PERCENT)": "TABLESAMPLE",
        "SELECT 1 FROM game.day_1 FOR SYSTEM_TIME AS OF CURRENT_TIMESTAMP()": "line 1, column 48",
        "SELECT FORMAT('%e', 1.5)": "the format '%e'",
    },
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    with closing(open_embedded(str(tmp_path_factory.mktemp("warehouse")))) as opened:
        opened.query(
            "CREATE TABLE game.day_2 AS SELECT 2 AS a; CREATE TABLE game.day_1 AS SELECT 1 AS a, 'x' AS b;"
            "CREATE TABLE game.day_0 AS SELECT 3 AS c;"
            "CREATE TABLE game.lists AS SELECT 'outer' AS key, [STRUCT('inner' AS key, 1 AS n)] AS ps;"
            "CREATE VIEW game.seen AS SELECT ps, 'around' AS other FROM game.lists;"
            "CREATE VIEW game.seen_again AS SELECT * FROM game.seen"
        )
        yield opened


def values(warehouse: EmbeddedWarehouse, query: str) -> list[Any]:
    return [next(iter(row.values())) for row in warehouse.query(query).to_pylist()]


@pytest.mark.parametrize(("query", "answer"), [case for cases in ANSWERED.values() for case in cases.items()])
def test_what_is_answered_otherwise_is_answered_as_listed(
    warehouse: EmbeddedWarehouse, query: str, answer: Sequence[Any]
) -> None:
    assert values(warehouse, query) == answer


@pytest.mark.parametrize(("query", "problem"), [case for cases in REFUSED.values() for case in cases.items()])
def test_what_is_listed_as_refused_is_refused(warehouse: EmbeddedWarehouse, query: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        warehouse.query(query)


def test_every_listed_difference_has_a_test_and_every_test_is_of_a_listed_one() -> None:
    text = files("questline_core.warehouse").joinpath("README.md").read_text(encoding="utf-8")
    listed = [line[2:] for line in text.partition("Known differences")[2].splitlines() if line.startswith("| ")][1:]
    tested = {*ANSWERED, *REFUSED}

    assert [row for row in listed if not row.startswith(tuple(tested))] == []
    assert [start for start in tested if not any(row.startswith(start) for row in listed)] == []


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELECT (SELECT MAX(key) FROM UNNEST(v.ps)) FROM game.seen AS v", ["inner"]),
        ("SELECT (SELECT MAX(key) FROM UNNEST(v.ps)) FROM game.seen_again AS v, (SELECT 'no' AS key)", ["inner"]),
        ("SELECT (SELECT MAX(key) FROM UNNEST(v.ps)) FROM game.seen_again AS v JOIN game.lists ON TRUE", ["inner"]),
        ("SELECT key FROM game.seen, UNNEST(ps)", ["inner"]),
        ("SELECT n FROM (SELECT * FROM game.seen_again, UNNEST(ps))", [1]),
    ],
)
def test_a_field_that_stands_alone_is_found_through_a_view(
    warehouse: EmbeddedWarehouse, query: str, answer: Sequence[Any]
) -> None:
    assert values(warehouse, query) == answer
