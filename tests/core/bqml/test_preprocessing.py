"""Automatic preprocessing: each type of column becomes the numbers that BigQuery ML documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from questline_core.bqml.preprocessing import fit, spelled_out
from questline_core.errors import BadInput


def encoded(
    training: Any, later: Any, *, standardize: bool = False, encoding: str = "ONE_HOT_ENCODING", targets: Any = None
) -> list[list[float]]:
    """Learn from one column and encode others with it."""
    learned = fit(pa.table({"x": training}), standardize=standardize, encoding=encoding, targets=targets)
    found: list[list[float]] = np.round(spelled_out(learned.matrix(pa.table({"x": later}))), 6).tolist()
    return found


def test_a_missing_number_is_the_mean_of_training() -> None:
    assert encoded([1.0, 3.0, None], [None, 3.0]) == [[2.0], [3.0]]


def test_numbers_are_standardized_by_the_deviation_of_the_sample() -> None:
    assert encoded([1, 2, 3], [1, 2, None, 4], standardize=True) == [[-1.0], [0.0], [0.0], [2.0]]


def test_a_constant_number_is_zero_and_not_infinite() -> None:
    assert encoded([5, 5], [5, 6], standardize=True) == [[0.0], [1.0]]


def test_null_is_a_category_and_an_unseen_value_is_none() -> None:
    assert encoded(["b", "a", None], ["a", "b", None, "c"]) == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_dummy_encoding_drops_the_most_frequent_category() -> None:
    assert encoded(["a", "b", "b"], ["a", "b", None, "c"], encoding="DUMMY_ENCODING") == [
        [1, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_label_encoding_numbers_the_alphabet_from_one_and_null_and_unseen_are_zero() -> None:
    assert encoded(["b", "a", None, "c"], ["a", "b", "c", None, "d"], encoding="LABEL_ENCODING") == [
        [1],
        [2],
        [3],
        [0],
        [0],
    ]


def test_target_encoding_is_the_mean_label_and_for_unseen_ones_that_of_all() -> None:
    targets = np.array([[1.0], [0.0], [1.0], [1.0]])

    assert encoded(["a", "a", "b", None], ["a", "b", None, "c"], encoding="TARGET_ENCODING", targets=targets) == [
        [0.5],
        [1],
        [1],
        [0.75],
    ]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([True, False], ["false", "true"]),
        ([b"\x01", b"\xff"], ["01", "ff"]),
        (pa.array([1, 0], pa.date32()), ["1970-01-01", "1970-01-02"]),
        (pa.array([3_600_000_000, 0], pa.time64("us")), ["00:00:00.000000", "01:00:00.000000"]),
        (pa.array([0], pa.timestamp("us")), ["1970-01-01 00:00:00.000000"]),
    ],
)
def test_every_other_type_is_a_category(values: Any, names: list[str]) -> None:
    learned = fit(pa.table({"x": values}), standardize=False, encoding="ONE_HOT_ENCODING")

    assert [column.category for column in learned.columns] == [*names, None]


def test_a_timestamp_gives_seconds_and_seven_parts_of_the_calendar() -> None:
    moment = datetime(2026, 3, 1, 13, 45, 59, tzinfo=UTC)  # a Sunday
    learned = fit(pa.table({"at": [moment]}), standardize=False, encoding="ONE_HOT_ENCODING")

    assert {f.name: f.categories[0] for f in learned.features if f.kind == "category"} == {
        "_TS_DOM_at": "1",
        "_TS_DOW_at": "1",
        "_TS_MOY_at": "3",
        "_TS_HOD_at": "13",
        "_TS_MOH_at": "45",
        "_TS_WOY_at": "9",
        "_TS_YEAR_at": "2026",
    }
    assert learned.features[0].mean == [moment.timestamp()]


def test_the_fields_of_a_struct_are_columns_and_a_nested_struct_is_refused() -> None:
    learned = fit(pa.table({"s": [{"n": 1, "t": "a"}]}), standardize=False, encoding="ONE_HOT_ENCODING")

    assert [(f.name, f.kind) for f in learned.features] == [("s_n", "number"), ("s_t", "category")]
    with pytest.raises(BadInput, match="the column s is a STRUCT within a STRUCT"):
        fit(pa.table({"s": [{"n": {"m": 1}}]}), standardize=False, encoding="ONE_HOT_ENCODING")


def test_an_array_of_texts_is_multi_hot() -> None:
    assert encoded([["a", "b"], ["a", "a"]], [["b"], ["a", "b", "z"], None, []]) == [
        [0, 1, 0],
        [1, 1, 0],
        [0, 0, 1],
        [0, 0, 0],
    ]


def test_an_array_of_numbers_is_a_number_for_each_place() -> None:
    assert encoded([[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0], None, [1.0, 2.0, 3.0]]) == [
        [5, 6],
        [7, 3],
        [2, 3],
        [1, 2],
    ]


def test_an_array_of_index_and_value_is_a_sparse_vector() -> None:
    pairs = pa.array(
        [[{"index": 2, "value": 0.5}], None], pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float64())]))
    )

    assert encoded(pairs, pairs) == [[0, 0, 0.5], [0, 0, 0]]


def test_columns_are_found_by_name_in_any_order_and_case() -> None:
    learned = fit(pa.table({"a": [1, 2], "b": [10, 20]}), standardize=False, encoding="ONE_HOT_ENCODING")

    assert spelled_out(learned.matrix(pa.table({"B": [30], "extra": ["x"], "A": [3]}))).tolist() == [[3, 30]]
