"""TRANSFORM: functions give the documented values, learn at training, and are applied again at prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from questline_core.bqml import Executor
from questline_core.bqml.duck import DuckDbTables
from questline_core.bqml.text import Reader, Text
from questline_core.bqml.transform import read_transform
from questline_core.errors import BadInput

NUMBERS = [1.0, 2.0, 3.0, 4.0, None]
WORDS = ["b", "a", "b", "c", None]
CASES: dict[str, list[Any]] = {
    "ML.STANDARD_SCALER(x) OVER()": [-1.161895, -0.387298, 0.387298, 1.161895, None],
    "ML.MIN_MAX_SCALER(x) OVER()": [0, 1 / 3, 2 / 3, 1, None],
    "ML.MAX_ABS_SCALER(x) OVER()": [0.25, 0.5, 0.75, 1, None],
    "ML.ROBUST_SCALER(x) OVER()": [-1, -1 / 3, 1 / 3, 1, None],
    "ML.ROBUST_SCALER(x, [25, 75], FALSE, FALSE) OVER()": [1, 2, 3, 4, None],
    "ML.IMPUTER(x, 'mean') OVER()": [1, 2, 3, 4, 2.5],
    "ML.IMPUTER(w, 'most_frequent') OVER()": ["b", "a", "b", "c", "b"],
    "ML.BUCKETIZE(x, [2, 3])": ["bin_1", "bin_2", "bin_3", "bin_3", None],
    "ML.BUCKETIZE(2.5, [1, 2, 3])": ["bin_3"] * 5,
    "ML.BUCKETIZE(2.5, [1, 2, 3], TRUE)": ["bin_2"] * 5,
    "ML.BUCKETIZE(2.5, [1, 2, 3], FALSE, 'bucket_ranges')": ["[2, 3)"] * 5,
    "ML.BUCKETIZE(0.5, [1, 2, 3], FALSE, 'bucket_ranges')": ["(-inf, 1)"] * 5,
    "ML.BUCKETIZE(2.5, [1, 2, 3], FALSE, 'bucket_ranges_json')": ['{"start": "2", "end": "3"}'] * 5,
    "ML.QUANTILE_BUCKETIZE(x, 2) OVER()": ["bin_1", "bin_1", "bin_2", "bin_2", None],
    "ML.LABEL_ENCODER(w, 100, 1) OVER()": [2, 1, 2, 3, 0],
    "ML.LABEL_ENCODER(w, 1, 1) OVER()": [1, 0, 1, 0, 0],
    "ML.LABEL_ENCODER(w) OVER()": [0, 0, 0, 0, 0],
    "ML.ONE_HOT_ENCODER(w, 'none', 100, 1) OVER()": [[{"index": i, "value": 1.0}] for i in (2, 1, 2, 3, 0)],
    "ML.ONE_HOT_ENCODER(w, 'most_frequent', 100, 1) OVER()": [[] if i == 2 else [{"index": i, "value": 1.0}] for i in (2, 1, 2, 3, 0)],
    "ML.MULTI_HOT_ENCODER([w, 'd'], 100, 1) OVER()": [[{"index": j, "value": 1.0} for j in i] for i in ((2, 4), (1, 4), (2, 4), (3, 4), (0, 4))],
    "ML.HASH_BUCKETIZE(w, 10)": [2, 9, 2, 2, None],
    "ML.FEATURE_CROSS(STRUCT(w, v)).w_v": ["b_p", "a_p", "b_p", "c_p", None],
    "ML.POLYNOMIAL_EXPAND(STRUCT(x)).x_x": [1, 4, 9, 16, None],
    "ML.NGRAMS(['a', 'b', 'c'], [2, 3], '-')": [["a-b", "a-b-c", "b-c"]] * 5,
    "ML.NORMALIZER([3.0, 4.0])": [[0.6, 0.8]] * 5,
    "ML.LP_NORM([3.0, 4.0], 1)": [7] * 5,
    "ML.STANDARD_SCALER(x * 2 + 1) OVER() * 10": [-11.61895, -3.872983, 3.872983, 11.61895, None],
    "ML.BUCKETIZE(ML.MIN_MAX_SCALER(x) OVER(), [0.5])": ["bin_1", "bin_1", "bin_2", "bin_2", None],
}  # fmt: skip


def read(clause: str) -> Any:
    return read_transform(Reader(Text(f"({clause})"), {}))


def learned(clause: str) -> list[Any]:
    table = pa.table({"x": NUMBERS, "w": WORDS, "v": ["p"] * 5})
    with duckdb.connect() as database:
        transformed = read(f"{clause} AS made").learn(table, DuckDbTables(database).ask)[1]
    found: list[Any] = transformed.column("made").to_pylist()
    return found


@pytest.mark.parametrize("clause", CASES)
def test_a_function_gives_the_documented_values(clause: str) -> None:
    for found, expected in zip(learned(clause), CASES[clause], strict=True):
        assert found == (pytest.approx(expected, abs=1e-5) if isinstance(found, float) else expected)


def test_hash_buckets_are_those_of_farm_fingerprint() -> None:
    import farmhash

    assert CASES["ML.HASH_BUCKETIZE(w, 10)"] == [farmhash.fingerprint64(w) % 10 if w else None for w in WORDS]


def test_what_was_learned_at_training_is_used_at_prediction() -> None:
    table = pa.table({"x": [0.0, 10.0], "label": [1, 2]})
    with duckdb.connect() as database:
        ask = DuckDbTables(database).ask
        kept, _ = read("ML.MIN_MAX_SCALER(x) OVER() AS scaled, label").learn(table, ask)
        again = type(kept).from_facts(kept.facts())
        later = again.apply(pa.table({"x": [5.0, 20.0]}), ask, label="label")

    assert later.to_pydict() == {"scaled": [0.5, 1.0]}


def test_a_model_transforms_new_rows_as_it_did_at_training(
    rows: Callable[..., Any], train: Callable[..., None]
) -> None:
    clause = "TRANSFORM(ML.QUANTILE_BUCKETIZE(bill, 4) OVER() AS bucket, flipper / 10 AS decimetres, * EXCEPT(bill, id, flipper))"
    train("LINEAR_REG", "mass", "id, bill, flipper, species", transform=clause)
    several = rows(
        "SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT id, bill, flipper, species FROM zoo.animals)) ORDER BY id"
    )
    one = rows(
        "SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT id, bill, flipper, species FROM zoo.animals WHERE id = 7))"
    )

    assert list(one[0]) == ["predicted_mass", "id", "bill", "flipper", "species"]
    assert np.isclose(one[0]["predicted_mass"], several[7]["predicted_mass"])
    assert [row["input"] for row in rows("SELECT input FROM ML.FEATURE_INFO(MODEL zoo.m)")] == [
        "bucket",
        "decimetres",
        "species",
    ]


REFUSED = {
    "ML.TF_IDF(x) OVER() AS y": "line 1, column 2: TRANSFORM has no function ML.TF_IDF here; supported are ML.BUCKETIZE",
    "ML.STANDARD_SCALER(x) AS y": "line 1, column 2: ML.STANDARD_SCALER learns from all rows; write OVER() after it",
    "x, ML.BUCKETIZE(x) AS y": "line 1, column 5: ML.BUCKETIZE takes 2 to 4 arguments (column, points, exclude_boundaries, output_format), not 1",
    "ML.BUCKETIZE(x, 'many') AS y": "line 1, column 18: points of ML.BUCKETIZE is an array of numbers, each above the one before, not 'many'",
    "x + 1": "line 1, column 2: give this column of TRANSFORM a name with AS",
    "": "line 1, column 1: TRANSFORM needs at least one column",
}


@pytest.mark.parametrize("clause", REFUSED)
def test_a_wrong_clause_is_refused_with_its_place(clause: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(clause)

    assert str(caught.value).startswith(REFUSED[clause])


def test_a_failure_inside_a_function_tells_where_the_function_stands(
    bqml: Executor, train: Callable[..., None]
) -> None:
    with pytest.raises(BadInput, match=r"line 1, column 41: in ML\.LP_NORM: there is no column lost"):
        train("LINEAR_REG", "mass", "bill", transform="TRANSFORM(ML.LP_NORM([lost], 1) AS y, mass)")
