"""Loading files: exact, typed, and all or nothing."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.errors import BadInput
from questline_core.warehouse.embedded import EmbeddedWarehouse
from questline_core.warehouse.load import load_file

DATA = Path(__file__).parents[3].parent / "shared/data"


def load(warehouse: EmbeddedWarehouse, file: Path, *, schema: Path | None = None, replace: bool = False) -> int:
    return load_file(warehouse, "game.t", file, schema=schema, replace=replace, tell=lambda _: None)


def loaded(warehouse: EmbeddedWarehouse) -> list[dict[str, Any]]:
    return warehouse.query("SELECT * FROM game.t").to_pylist()


def file_of(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def schema_of(tmp_path: Path, *fields: dict[str, Any]) -> Path:
    return file_of(tmp_path, "schema.json", json.dumps(fields))


def test_csv_types_are_those_that_fit_every_value(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    text = (
        "id,n,x,ok,day,at,code,word,big,nothing\n"
        "a,9007199254740993,1,true,2020-01-02,2020-01-02 03:04:05+00:00,007,1,1,\n"
        'b,-5,1.5,FALSE,2020-01-03,2020-01-02 03:04:05.5+01:00,8,"x, ""y""\nz",99999999999999999999,\n'
        'c,,,,,,,"",,\n'
    )

    assert load(warehouse, file_of(tmp_path, "a.csv", text)) == 3
    assert loaded(warehouse) == [
        {"id": "a", "n": 2**53 + 1, "x": 1.0, "ok": True, "day": date(2020, 1, 2), "code": "007", "word": "1",
         "at": datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "big": "1", "nothing": None},
        {"id": "b", "n": -5, "x": 1.5, "ok": False, "day": date(2020, 1, 3), "code": "8", "word": 'x, "y"\nz',
         "at": datetime(2020, 1, 2, 2, 4, 5, 500_000, tzinfo=UTC), "big": "9" * 20, "nothing": None},
        {"id": "c", "n": None, "x": None, "ok": None, "day": None, "code": None, "word": "",
         "at": None, "big": None, "nothing": None},
    ]  # fmt: skip


def test_json_types_are_those_that_fit_every_value(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    lines = [
        {"n": 2**63 - 1, "x": 1, "p": [{"k": "a", "v": 1}], "r": {"s": "é"}, "nothing": None},
        {"x": 1.5, "ok": True, "p": [], "r": {"t": [1.0]}},
    ]
    text = "\n\n".join(map(json.dumps, lines)) + "\n"

    assert load(warehouse, file_of(tmp_path, "a.ndjson", text)) == 2
    assert loaded(warehouse) == [
        {"n": 2**63 - 1, "x": 1.0, "p": [{"k": "a", "v": 1}], "r": {"s": "é", "t": []}, "nothing": None, "ok": None},
        {"n": None, "x": 1.5, "p": [], "r": {"s": None, "t": [1.0]}, "nothing": None, "ok": True},
    ]


def test_a_bigquery_schema_tells_the_types(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        {"name": "n", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "at", "type": "TIMESTAMP"},
        {"name": "day", "type": "DATE"},
        {"name": "b", "type": "BYTES"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
        {"name": "r", "type": "RECORD", "fields": [{"name": "x", "type": "FLOAT64"}]},
    )
    line = {"n": "9007199254740993", "at": "2018-06-12 01:02:03.000004 UTC", "day": "2018-06-12", "b": "aGk=",
            "tags": ["a"], "r": {"x": 2}}  # fmt: skip
    load(warehouse, file_of(tmp_path, "a.jsonl", json.dumps(line) + "\n" + '{"n": 1}'), schema=schema)

    assert loaded(warehouse) == [
        {"n": 2**53 + 1, "at": datetime(2018, 6, 12, 1, 2, 3, 4, tzinfo=UTC), "day": date(2018, 6, 12), "b": b"hi",
         "tags": ["a"], "r": {"x": 2.0}},
        {"n": 1, "at": None, "day": None, "b": None, "tags": [], "r": None},
    ]  # fmt: skip


def test_a_csv_takes_the_types_of_a_schema(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    schema = schema_of(tmp_path, {"name": "id", "type": "STRING"}, {"name": "at", "type": "TIMESTAMP"})
    load(warehouse, file_of(tmp_path, "a.csv", "at,id\n2018-06-12 01:02:03 UTC,7\n2018-06-12,8\n"), schema=schema)

    assert [row["id"] for row in loaded(warehouse)] == ["7", "8"]
    assert loaded(warehouse)[1]["at"] == datetime(2018, 6, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", 'id,n\na,1\n\n"x\ny",2\nb,1.5\n', r"a.csv, line 6: n is '1.5', which is no INT64"),
        ("a.csv", "id,n\na,1\nb\n", r"a.csv: .*line 3: Expected 2 columns, got 1"),
        ("a.csv", "id,n,n\n", "names the column n twice"),
        ("a.csv", "id,m\na,1\n", "has the column m, which the schema does not have"),
        ("a.csv", "", "needs a first line"),
        ("a.csv", "id,n\na,99999999999999999999\n", r"line 2: n is '99999999999999999999', which is no INT64"),
        ("a.ndjson", '{"id": "a", "n": 1}\n{"id": "b", "n": 1.5}\n', r"line 2: n is 1.5, which is no INT64"),
        ("a.ndjson", '{"id": "a", "n": 9223372036854775808}\n', r"line 1: n is 9223372036854775808, which is no INT64"),
        ("a.ndjson", '{"id": "a", "n": true}\n', r"line 1: n is true, which is no INT64"),
        ("a.ndjson", '{"id": 5}\n', r"line 1: id is 5, which is no STRING"),
        ("a.ndjson", '{"n": 5}\n', r"line 1: id has no value, but it is required"),
        ("a.ndjson", '{"id": "a", "m": 5}\n', r"line 1: m is no column of the table"),
        ("a.ndjson", '{"id": "a"}\n{"id"\n', r"line 2: this is no JSON"),
        ("a.ndjson", "[1]\n", r"line 1: this is no JSON object"),
        ("a.txt", "x", "must end in .csv"),
        ("a.parquet", "x", "cannot read .*a.parquet"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_loaded(
    name: str, text: str, problem: str, warehouse: EmbeddedWarehouse, tmp_path: Path
) -> None:
    fields: list[pa.Field[Any]] = [pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64())]
    warehouse.create("game.t", pa.schema(fields))
    with pytest.raises(BadInput, match=problem):
        load(warehouse, file_of(tmp_path, name, text))

    assert loaded(warehouse) == []


def test_fields_of_different_kinds_need_a_schema(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"the field r.a is int and str .*--schema"):
        load(warehouse, file_of(tmp_path, "a.ndjson", '{"r": {"a": 1}}\n{"r": {"a": "x"}}\n'))

    assert warehouse.tables() == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ("{}", "JSON list"),
        ("[{}]", "needs a name"),
        ('[{"name": "a", "type": "NUMERIC"}]', "field a has the type NUMERIC"),
    ],
)
def test_a_schema_that_cannot_be_used_is_explained(
    schema: str, problem: str, warehouse: EmbeddedWarehouse, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=problem):
        load(warehouse, file_of(tmp_path, "a.csv", "a\n1\n"), schema=file_of(tmp_path, "s.json", schema))


def test_a_second_file_is_added_and_takes_the_types_of_the_table(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    load(warehouse, file_of(tmp_path, "a.csv", "id,n\na,1\n"))
    load(warehouse, file_of(tmp_path, "b.ndjson", '{"id": "5", "n": 2}\n'))

    assert loaded(warehouse) == [{"id": "a", "n": 1}, {"id": "5", "n": 2}]


def test_replace_takes_the_new_rows_and_columns(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    load(warehouse, file_of(tmp_path, "a.csv", "id,n\na,1\n"))
    load(warehouse, file_of(tmp_path, "b.csv", "x\n2\n"), replace=True)

    assert loaded(warehouse) == [{"x": 2}]


def test_packed_files_are_read(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"id,n\na,1\n"))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b'{"id": "b", "n": 2}\n'))

    assert load(warehouse, tmp_path / "a.csv.gz") + load(warehouse, tmp_path / "b.ndjson.gz") == 2
    assert [row["id"] for row in loaded(warehouse)] == ["a", "b"]


def test_a_packed_file_may_begin_with_a_byte_order_mark(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("\ufeffid,n\n007,1\n".encode()))

    load(warehouse, tmp_path / "a.csv.gz")

    assert loaded(warehouse) == [{"id": "007", "n": 1}]


@pytest.mark.parametrize("name", ["cut.csv.gz", "cut.ndjson.gz"])
def test_a_packed_file_that_is_cut_off_is_told(warehouse: EmbeddedWarehouse, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b'{"id": "a"}\n' * 10)[:-12])

    with pytest.raises(BadInput, match=rf"cannot read .*{name}"):
        load(warehouse, tmp_path / name)


def test_parquet_takes_the_types_that_bigquery_has(warehouse: EmbeddedWarehouse, tmp_path: Path) -> None:
    table = pa.table(
        {
            "small": pa.array([1], pa.int16()),
            "half": pa.array([0.5], pa.float32()),
            "text": pa.array(["a"], pa.large_string()),
            "kind": pa.array(["k"]).dictionary_encode(),
            "at": pa.array([1_000], pa.timestamp("ms", "Europe/Berlin")),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    load(warehouse, tmp_path / "a.parquet")

    at = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert loaded(warehouse) == [{"small": 1, "half": 0.5, "text": "a", "kind": "k", "at": at}]
    assert warehouse.describe("game.t").schema.field("at").type == pa.timestamp("us", "UTC")


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"the folder ../shared/data with {name} is not here")
    return DATA / name


def test_the_real_players_of_flood_it_arrive_complete(warehouse: EmbeddedWarehouse) -> None:
    assert load(warehouse, real("flood_it_users/users.csv")) == 12_290

    found = warehouse.query(
        "SELECT COUNT(DISTINCT user_pseudo_id) AS players, COUNTIF(device_os IS NULL) AS no_os, SUM(churned) AS churned,"
        " MIN(user_first_engagement) AS first FROM game.t"
    ).to_pylist()[0]
    assert found["players"] == 12_290
    assert 0 < found["no_os"] < 1_000
    assert found["first"] == datetime(2018, 6, 12, 7, 0, 10, 908_005, tzinfo=UTC)


def test_the_real_events_of_flood_it_arrive_exactly(warehouse: EmbeddedWarehouse) -> None:
    path = real("flood_it_events/events.ndjson")
    load(warehouse, path)

    query = "SELECT p.value.int_value AS v FROM game.t, UNNEST(event_params) AS p WHERE p.key = 'firebase_screen_id'"
    found = warehouse.query(f"{query} AND p.value.int_value IS NOT NULL ORDER BY v").column("v").to_pylist()
    events = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    params = [param for event in events for param in event["event_params"] if param["key"] == "firebase_screen_id"]
    numbers = [int(param["value"]["int_value"]) for param in params if param["value"].get("int_value") is not None]
    assert found == sorted(numbers)
    assert max(map(abs, found)) > 2**62
