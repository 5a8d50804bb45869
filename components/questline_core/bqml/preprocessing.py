"""Automatic preprocessing: columns of any type become a matrix, as BigQuery ML documents it.

- INT64, FLOAT64, NUMERIC: NULL becomes the mean; standardized, except for boosted trees.
- BOOL, STRING, BYTES, DATE, DATETIME, TIME: a category each. NULL is a category of its own; one that training did
  not see has weight 0. One-hot, dummy (the most frequent category is dropped), label (0 for NULL and unseen, else
  the place in the alphabet from 1) or target encoding (the label's mean in the category; overall mean for unseen).
- TIMESTAMP: seconds since 1970 as a number, and seven parts of the calendar as categories (`_TS_DOM_…` and so on).
- STRUCT: each field becomes a column named STRUCT_FIELD; nested ones are refused.
- ARRAY of numbers: one number for each place. ARRAY of anything else: multi-hot. ARRAY<STRUCT<INT64, FLOAT64>>:
  a sparse vector, index and value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from questline_core.bqml.vectors import finite, spread, width_of
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Matrix: TypeAlias = Array | sparse.csr_matrix

CALENDAR = {"DOM": "day", "DOW": "dow", "MOY": "month", "HOD": "hour", "MOH": "minute", "WOY": "woy", "YEAR": "year"}
NULL = None
"""The category of NULL among a feature's categories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the input after structs and timestamps are taken apart, and what training learned of it."""

    name: str
    kind: str
    """number, category, many (multi-hot), vector or sparse."""
    mean: Sequence[float] = (0.0,)
    scale: Sequence[float] = (1.0,)
    categories: Sequence[str | None] = ()
    targets: Sequence[Sequence[float]] = ()
    """Target encoding: for each category, and at the end for unseen ones, the label's mean per output."""
    info: Mapping[str, Any] | None = None
    """What ML.FEATURE_INFO tells."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the matrix."""

    feature: int
    category: str | None = None
    one_hot: bool = False


def flatten(table: pa.Table) -> pa.Table:
    """Take structs apart into columns named STRUCT_FIELD, and timestamps into seconds and parts of the calendar.

    Raises:
        BadInput: a struct holds a struct, or two columns get one name.
    """
    columns = dict[str, Any]()
    for name, column in _fields(table):
        for made, values in _timestamp(name, column).items():
            if made in columns:
                raise BadInput(
                    f"two features would be named {made}, for a STRUCT or TIMESTAMP is taken apart; rename one"
                )
            columns[made] = values
    return pa.table(columns)


def _fields(table: pa.Table) -> Iterator[tuple[str, Any]]:
    for name in table.column_names:
        column = table.column(name)
        if not pa.types.is_struct(column.type):
            yield name, column
            continue
        for index, field in enumerate(column.type):
            if pa.types.is_struct(field.type):
                raise BadInput(f"the column {name} is a STRUCT within a STRUCT; select its fields one by one")
            yield f"{name}_{field.name}", pc.struct_field(column, [index])


def _timestamp(name: str, column: Any) -> dict[str, Any]:
    if not (pa.types.is_timestamp(column.type) and column.type.tz):
        return {name: column}
    plain = column.cast(pa.timestamp("us")) if column.type.unit != "us" else pc.local_timestamp(column)
    parts = {
        "day": pc.day(plain),
        "dow": pc.day_of_week(plain, count_from_zero=False, week_start=7),
        "month": pc.month(plain),
        "hour": pc.hour(plain),
        "minute": pc.minute(plain),
        "woy": pc.week(plain, week_starts_monday=False, count_from_zero=True),
        "year": pc.year(plain),
    }
    seconds = pc.divide(pc.cast(plain.cast(pa.int64()), pa.float64()), 1e6)
    return {
        name: seconds,
        **{f"_TS_{key}_{name}": pc.cast(parts[part], pa.string()) for key, part in CALENDAR.items()},
    }


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Turns a table into a matrix, always in the same way."""

    features: Sequence[Feature]
    encoding: str

    @property
    def columns(self) -> list[Column]:
        """Describe the matrix's columns."""
        found = list[Column]()
        for index, feature in enumerate(self.features):
            if feature.kind == "category" and self.encoding in ("LABEL_ENCODING", "TARGET_ENCODING"):
                found += [Column(index)] * (len(feature.targets[0]) if feature.targets else 1)
            elif feature.kind in ("category", "many"):
                found += [Column(index, category, one_hot=True) for category in feature.categories]
            else:
                found += [Column(index)] * len(feature.mean)
        return found

    def matrix(self, table: pa.Table) -> Matrix:
        """Encode rows; sparse where categories are one-hot, else dense, as 64-bit floats.

        Raises:
            BadInput: a column that training used is missing or has another type.
        """
        flat = flatten(table)
        names = {name.lower(): name for name in flat.column_names}
        blocks = list[Matrix]()
        for feature in self.features:
            if feature.name.lower() not in names:
                raise BadInput(
                    f"the model was trained with a column {feature.name}, which the rows do not have; "
                    f"they have {', '.join(flat.column_names)}"
                )
            column = flat.column(names[feature.name.lower()])
            if not _holds(feature, column.type):
                raise BadInput(
                    f"the model was trained with {_KINDS[feature.kind]} in the column {feature.name}; "
                    f"these rows have {type_name(column.type)} there"
                )
            blocks.append(self._encode(feature, column))
        if not any(sparse.issparse(block) for block in blocks):
            return np.hstack(blocks) if blocks else np.zeros((table.num_rows, 0))
        joined = [
            _full(np.hstack(list(some))) if dense else sparse.hstack(list(some), format="csr")
            for dense, some in groupby(blocks, lambda block: not sparse.issparse(block))
        ]
        return sparse.hstack(joined, format="csr")

    def _encode(self, feature: Feature, column: pa.ChunkedArray[Any]) -> Matrix:
        if feature.kind == "number":
            values = numbers(column, feature.name)
            return (
                ((np.where(np.isnan(values), feature.mean[0], values) - feature.mean[0]) / feature.scale[0])[:, None]
                if feature.scale
                else np.where(np.isnan(values), feature.mean[0], values)[:, None]
            )
        if feature.kind in ("vector", "sparse"):
            return _vector(feature, column)
        if feature.kind == "many":
            return _many(feature, column)
        codes = _codes(feature.categories, as_text(column))
        if self.encoding == "LABEL_ENCODING":
            null = len(feature.categories) - 1
            return np.where((codes == null) | (codes < 0), 0, codes + 1).astype(float)[:, None]
        if feature.targets:
            return np.asarray(feature.targets, float)[codes]
        return _one_hot(codes, len(feature.categories), dropped=self._dropped(feature))

    def _dropped(self, feature: Feature) -> int | None:
        if self.encoding != "DUMMY_ENCODING" or feature.info is None:
            return None
        return list(feature.categories).index(feature.info["most_frequent"])


def fit(table: pa.Table, *, standardize: bool, encoding: str, targets: Array | None = None) -> Preprocessor:
    """Learn from training rows how to encode; `targets` (rows, outputs) are what target encoding averages.

    Raises:
        BadInput: a column has a type that cannot be a feature.
    """
    flat = flatten(table)
    features = [
        _learn(
            name, flat.column(name), standardize=standardize, targets=targets if encoding == "TARGET_ENCODING" else None
        )
        for name in flat.column_names
    ]
    return Preprocessor(features, encoding)


def _learn(name: str, column: pa.ChunkedArray[Any], *, standardize: bool, targets: Array | None) -> Feature:
    kind = _kind(name, column.type)
    if kind == "number":
        return _learn_number(name, numbers(column, name), column.null_count, standardize=standardize)
    if kind in ("vector", "sparse"):
        return _learn_vector(name, kind, column, standardize=standardize)
    texts = as_text(pc.list_flatten(column)) if kind == "many" else as_text(column)
    counted = pc.value_counts(texts.drop_null())
    counts = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    categories = [*sorted(counts), NULL]
    nulls = column.null_count
    info = {
        "category_count": len(counts),
        "null_count": nulls,
        "most_frequent": max(categories, key=lambda item: nulls if item is NULL else counts[item]),
    }
    learned = [] if targets is None or kind == "many" else _means(_codes(categories, texts), len(categories), targets)
    return Feature(name=name, kind=kind, categories=categories, targets=learned, info=info)


_KINDS = {
    "number": "numbers",
    "category": "single values",
    "many": "an ARRAY of values",
    "vector": "an ARRAY of numbers",
    "sparse": "ARRAY<STRUCT<INT64, FLOAT64>>",
}


def _holds(feature: Feature, type_: pa.DataType) -> bool:
    """Tell whether a column can be read as the feature that training saw; a category may be of any single values."""
    if pa.types.is_null(type_):
        return True
    kind = _kind(feature.name, type_)
    return kind == feature.kind or (feature.kind, kind) == ("category", "number")


def _kind(name: str, type_: pa.DataType) -> str:
    if is_numeric(type_):
        return "number"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        inner = type_.value_type
        if pa.types.is_struct(inner):
            fits = inner.num_fields == 2 and pa.types.is_integer(inner[0].type) and is_numeric(inner[1].type)  # noqa: PLR2004 - index and value
            if not fits:
                raise BadInput(
                    f"the column {name} is an ARRAY of STRUCTs; only ARRAY<STRUCT<INT64, FLOAT64>> can be a feature"
                )
            return "sparse"
        return "vector" if is_numeric(inner) else "many"
    if pa.types.is_struct(type_) or pa.types.is_map(type_) or pa.types.is_interval(type_):
        raise BadInput(f"the column {name} of type {type_name(type_)} cannot be a feature; leave it out")
    return "category"


def is_numeric(type_: pa.DataType) -> bool:
    """Tell whether a column holds numbers."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _learn_number(name: str, values: Array, nulls: int, *, standardize: bool) -> Feature:
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else 0.0
    deviation = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    stats = (known.min(), known.max(), mean, np.median(known), deviation) if len(known) else (None,) * 5
    info = dict(
        zip(("min", "max", "mean", "median", "stddev"), (None if s is None else float(s) for s in stats), strict=True)
    )
    scale = [(deviation or 1.0)] if standardize else []
    return Feature(name=name, kind="number", mean=[mean], scale=scale, info={**info, "null_count": nulls})


def _learn_vector(name: str, kind: str, column: pa.ChunkedArray[Any], *, standardize: bool) -> Feature:
    rows = column.to_pylist()
    width = width_of(rows, feature=name, kind=kind)
    dense = spread(rows, width, feature=name, kind=kind)
    known = ~np.isnan(dense)
    mean = np.array([dense[known[:, i], i].mean() if known[:, i].any() else 0.0 for i in range(width)])
    deviation = np.array([dense[known[:, i], i].std(ddof=1) if known[:, i].sum() > 1 else 0.0 for i in range(width)])
    centred = standardize and kind == "vector"
    return Feature(
        name=name,
        kind=kind,
        mean=mean.tolist(),
        scale=np.where(deviation > 0, deviation, 1.0).tolist() if centred else [],
        info={"null_count": column.null_count, "dimension": width},
    )


def _vector(feature: Feature, column: pa.ChunkedArray[Any]) -> Array:
    dense = spread(column.to_pylist(), len(feature.mean), feature=feature.name, kind=feature.kind)
    mean = np.asarray(feature.mean)
    filled = np.where(np.isnan(dense), mean, dense)
    return (filled - mean) / np.asarray(feature.scale) if feature.scale else filled


def _many(feature: Feature, column: pa.ChunkedArray[Any]) -> sparse.csr_matrix:
    combined = column.combine_chunks()
    codes = _codes(feature.categories, as_text(pc.list_flatten(combined)))
    rows = pc.list_parent_indices(combined).to_numpy(zero_copy_only=False)
    nulls = np.flatnonzero(pc.is_null(combined).to_numpy(zero_copy_only=False))
    rows, codes = (
        np.concatenate([rows, nulls]),
        np.concatenate([codes, np.full(len(nulls), len(feature.categories) - 1)]),
    )
    keep = codes >= 0
    shape = (len(column), len(feature.categories))
    counted = sparse.csr_matrix((np.ones(int(keep.sum())), (rows[keep], codes[keep])), shape=shape)
    counted.data[:] = 1.0
    return counted


def _means(codes: Array, width: int, targets: Array) -> list[list[float]]:
    overall = targets.mean(axis=0)
    sums, counts = np.zeros((width, targets.shape[1])), np.bincount(codes, minlength=width)[:, None]
    np.add.at(sums, codes, targets)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return [*means.tolist(), overall.tolist()]


def _full(block: Array) -> sparse.csr_matrix:
    """Make a sparse matrix of a dense block with all its places, which is quicker than looking for zeros."""
    rows, width = block.shape
    places = np.tile(np.arange(width, dtype=np.int32), rows)
    return sparse.csr_matrix((block.ravel(), places, np.arange(0, rows * width + 1, width)), shape=block.shape)


def _one_hot(codes: Array, width: int, *, dropped: int | None) -> sparse.csr_matrix:
    seen = codes >= 0 if dropped is None else (codes >= 0) & (codes != dropped)
    ends = np.concatenate([[0], np.cumsum(seen)])
    return sparse.csr_matrix((np.ones(int(seen.sum())), codes[seen], ends), shape=(len(codes), width))


def _codes(categories: Sequence[str | None], texts: pa.ChunkedArray[Any]) -> Array:
    """Number the texts by category: the last number for NULL, -1 for one that is not among them."""
    found = positions(texts, pa.array([item for item in categories if item is not NULL], pa.string()))
    nulls = pc.is_null(texts).to_numpy(zero_copy_only=False)
    return np.where(nulls, len(categories) - 1, found).astype(np.int64)


def positions(column: Any, values: Any) -> Array:
    """Tell where in `values` each value of a column stands; -1 for NULL and for one that is not there."""
    compute: Any = pc  # its stubs lose the types of columns
    found = compute.fill_null(compute.index_in(column, value_set=values), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


def spelled_out(matrix: Matrix) -> Array:
    """Give a matrix with its zeros."""
    found: Any = matrix
    return np.asarray(found.toarray() if sparse.issparse(found) else found)


def taken(values: Any, places: Array) -> Any:
    """Pick values by their places."""
    return values.take(pa.array(places, pa.int64()))


def as_text(column: Any) -> Any:
    """Write values as the category names that BigQuery shows."""
    if pa.types.is_binary(column.type):
        return pa.chunked_array([[None if v is None else v.hex() for v in column.to_pylist()]], pa.string())
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def numbers(column: pa.ChunkedArray[Any], name: str) -> Array:
    """Give numbers as 64-bit floats, NaN for NULL.

    Raises:
        BadInput: the column holds something else, or an infinite number.
    """
    if not (is_numeric(column.type) or pa.types.is_null(column.type)):
        raise BadInput(f"the column {name} is {type_name(column.type)}; numbers are wanted there")
    return finite(np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), float), name)
