"""The rows a model is trained on: one fixed order, a name for their content, label taken off, split in two."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from questline_core.bqml.options import Options
from questline_core.bqml.preprocessing import Array, taken
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name

_SMALL, _LARGE, _LARGE_EVAL = 500, 50_000, 10_000
"""AUTO_SPLIT: below 500 rows all train, above 50,000 exactly 10,000 are held out."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Training and evaluation rows; `held_out` is empty when all rows train."""

    training: pa.Table
    held_out: pa.Table


def ordered(table: pa.Table) -> tuple[pa.Table, str]:
    """Bring rows into an order that depends on their content only, and name that content.

    A query gives its rows in any order; the model must not depend on it.
    """
    with duckdb.connect(config={"autoload_known_extensions": False}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("given", table)
        hashes = database.sql("SELECT hash(given) AS h FROM given").to_arrow_table().column("h").to_numpy()
    order = np.argsort(hashes, kind="stable")
    content = hashlib.sha256(str(table.schema.names).encode() + hashes[order].tobytes()).hexdigest()
    return taken(table, order), content


def split(table: pa.Table, options: Options, *, seed: int) -> Rows:
    """Split rows as DATA_SPLIT_METHOD says; the split column leaves the rows.

    Raises:
        BadInput: the split column is missing or of a wrong type, or no row is left to train on.
    """
    method, column = options["DATA_SPLIT_METHOD"], options["DATA_SPLIT_COL"]
    held_out = _held_out(table, options, method, seed=seed)
    if column is not None:
        table = table.drop_columns([_split_column(table, options)])
    if held_out.any():
        rows = Rows(table.filter(pa.array(~held_out)), table.filter(pa.array(held_out)))
    else:
        rows = Rows(table, table.slice(0, 0))
    if not rows.training.num_rows:
        raise options.wrong(
            "DATA_SPLIT_METHOD",
            f"no row is left to train on: {table.num_rows} rows with a label came, split by {method}",
        )
    return rows


def _held_out(table: pa.Table, options: Options, method: str, *, seed: int) -> Array:
    count = table.num_rows
    mask = np.zeros(count, bool)
    if method == "NO_SPLIT":
        return mask
    if method == "CUSTOM":
        column = table.column(_split_column(table, options))
        if not pa.types.is_boolean(column.type):
            raise options.wrong(
                "DATA_SPLIT_COL",
                f"CUSTOM is split by a BOOL column; {options['DATA_SPLIT_COL']} is {type_name(column.type)}",
            )
        return np.array([value is not False for value in column.to_pylist()])
    fraction = options["DATA_SPLIT_EVAL_FRACTION"]
    if method == "SEQ":
        size = round(count * (0.2 if fraction is None else fraction))
        column = table.column(_split_column(table, options))
        if pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
            raise options.wrong(
                "DATA_SPLIT_COL",
                f"SEQ is split by a column that has an order, such as INT64, STRING or TIMESTAMP; "
                f"{options['DATA_SPLIT_COL']} is {type_name(column.type)}",
            )
        order = pc.array_sort_indices(column, null_placement="at_start").to_numpy()
        mask[order[count - size :]] = True
        return mask
    mask[np.random.default_rng(seed).permutation(count)[: _eval_rows(count, fraction)]] = True
    return mask


def _split_column(table: pa.Table, options: Options) -> str:
    try:
        return column_named(table, options["DATA_SPLIT_COL"])
    except BadInput as error:
        raise options.wrong("DATA_SPLIT_COL", str(error)) from None


def _eval_rows(count: int, fraction: float | None) -> int:
    if fraction is not None:
        return round(count * fraction)
    if count < _SMALL:
        return 0
    return _LARGE_EVAL if count > _LARGE else round(count * 0.2)


def column_named(table: pa.Table, name: str) -> str:
    """Find a column by its name in any case.

    Raises:
        BadInput: there is none.
    """
    for column in table.column_names:
        if column.lower() == name.lower():
            return column
    raise BadInput(f"the query gives no column {name}; it gives {', '.join(table.column_names)}")


def label_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """List the classes of a label, smallest first: the last of two is the positive one."""
    return sorted(pc.unique(column.drop_null()).to_pylist())
