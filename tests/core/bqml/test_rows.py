"""Rows of training: their order is their content's, and they are split as documented."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from questline_core.bqml.options import Options
from questline_core.bqml.rows import ordered, split
from questline_core.errors import BadInput


def parts(count: int, method: str, **options: object) -> tuple[list[int | None], list[int | None]]:
    table = pa.table(
        {"i": range(count), "back": range(count, 0, -1), "late": [i >= count // 2 if i else None for i in range(count)]}
    )
    rows = split(table, Options("LINEAR_REG", {"DATA_SPLIT_METHOD": method, **options}), seed=0)
    return rows.training.column("i").to_pylist(), rows.held_out.column("i").to_pylist()


@pytest.mark.parametrize(
    ("count", "held_out"), [(499, 0), (500, 100), (50_000, 10_000), (50_001, 10_000), (90_000, 10_000)]
)
def test_auto_split_holds_out_nothing_a_fifth_or_ten_thousand(count: int, held_out: int) -> None:
    training, judged = parts(count, "AUTO_SPLIT")

    assert (len(training), len(judged)) == (count - held_out, held_out)
    assert sorted(i for i in training + judged if i is not None) == list(range(count))


def test_a_random_split_takes_the_fraction_and_is_the_same_each_time() -> None:
    assert len(parts(1000, "RANDOM", DATA_SPLIT_EVAL_FRACTION=0.35)[1]) == 350
    assert parts(1000, "RANDOM", DATA_SPLIT_EVAL_FRACTION=0.35) == parts(1000, "RANDOM", DATA_SPLIT_EVAL_FRACTION=0.35)


def test_a_sequential_split_holds_out_the_last_rows() -> None:
    assert parts(10, "SEQ", DATA_SPLIT_COL="back", DATA_SPLIT_EVAL_FRACTION=0.3)[1] == [0, 1, 2]


def test_a_custom_split_holds_out_true_and_null_and_its_column_is_no_feature() -> None:
    table = pa.table({"i": range(4), "late": [None, False, True, False]})
    rows = split(table, Options("LINEAR_REG", {"DATA_SPLIT_METHOD": "CUSTOM", "DATA_SPLIT_COL": "LATE"}), seed=0)

    assert rows.training.to_pydict() == {"i": [1, 3]}
    assert rows.held_out.to_pydict() == {"i": [0, 2]}


def test_a_custom_split_by_another_type_is_refused() -> None:
    with pytest.raises(BadInput, match="CUSTOM is split by a BOOL column; i is INT64"):
        parts(10, "CUSTOM", DATA_SPLIT_COL="i")


def test_no_split_trains_on_all_rows() -> None:
    assert parts(5000, "NO_SPLIT") == (list(range(5000)), [])


def test_the_order_of_rows_does_not_depend_on_the_order_in_which_they_came() -> None:
    table = pa.table(
        {"a": range(100), "b": [[str(i), None] for i in range(100)], "c": [{"d": i % 7} for i in range(100)]}
    )
    shuffled = table.take(np.random.default_rng(1).permutation(100))

    assert ordered(table)[0].equals(ordered(shuffled)[0])
    assert ordered(table)[1] == ordered(shuffled)[1]
    assert ordered(table)[1] != ordered(table.slice(1))[1]
