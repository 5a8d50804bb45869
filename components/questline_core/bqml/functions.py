"""The preprocessing functions of TRANSFORM: what each learns at training, and what it makes of rows later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any, TypeAlias

import farmhash
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from questline_core.bqml.literals import FLAG, TEXT, Literal, is_number, one_of, whole
from questline_core.bqml.preprocessing import Array, as_text, is_numeric, positions, taken
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name

State: TypeAlias = Mapping[str, Any]
Values: TypeAlias = "pa.ChunkedArray[Any]"

_PAIRS = pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float64())]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One ML function: of a column, with literal settings after it."""

    settings: Sequence[tuple[str, Literal, Any]]
    """For each literal argument its name, what it may be and its default; without one (`...`) it must be given."""
    apply: Callable[[Values, State], Any]
    """Makes the new column from the old one, the settings and what was learned."""
    learn: Callable[[Values, State], State] | None = None
    """Learns from all training rows; such a function is followed by OVER() in the text."""

    # The text of a BadInput of both goes on after the function's name: "takes numbers, not STRING".


def _standard(column: Values, _: State) -> State:
    known = _known(column)
    return {"mean": float(known.mean()), "stddev": float(known.std(ddof=1)) if len(known) > 1 else 0.0}


def _range(column: Values, _: State) -> State:
    known = _known(column)
    return {"min": float(known.min()), "max": float(known.max()), "most": float(np.abs(known).max())}


def _robust(column: Values, state: State) -> State:
    low, high = state["quantile_range"]
    known = _known(column)
    low, middle, high = np.quantile(known, [low / 100, 0.5, high / 100])
    return {"median": float(middle), "spread": float(high - low)}


def _apply_robust(column: Values, state: State) -> Any:
    values = _numbers(column) - (state["median"] if state["with_median"] else 0)
    return _floats(values / (state["spread"] or 1.0) if state["with_quantile_range"] else values)


def _quantiles(column: Values, state: State) -> State:
    count = state["num_buckets"]
    inner = np.quantile(_known(column), np.arange(1, count) / count)
    return {"points": sorted(set(inner.tolist()))}


def _impute(column: Values, state: State) -> State:
    strategy = state["strategy"].lower()
    if strategy == "most_frequent":
        counted = Counter(_single(column).drop_null().to_pylist())
        most = max(counted.values(), default=0)
        often: list[Any] = [value for value, count in counted.items() if count == most]
        return {"value": min(often, default=None)}
    known = _known(column)
    return {"value": float(known.mean() if strategy == "mean" else np.median(known))}


def _apply_impute(column: Values, state: State) -> Any:
    if isinstance(state["value"], float) and not pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    return column if state["value"] is None else pc.fill_null(column, pa.scalar(state["value"], column.type))


def _bucketize(column: Values, state: State) -> Any:
    points = list(state["points"])
    if state.get("exclude_boundaries"):
        points = points[1:-1]
    values, edges = _numbers(column), [-np.inf, *points, np.inf]
    form = state["output_format"].lower()
    names = [_bucket(i, edges, form) for i in range(len(points) + 1)]
    places = np.searchsorted(points, values, side="right")
    return pc.if_else(pa.array(np.isnan(values)), None, taken(pa.array(names), places))


def _bucket(index: int, edges: Sequence[float], form: str) -> str:
    if form == "bucket_names":
        return f"bin_{index + 1}"
    if form == "bucket_ranges_json":
        ends = [{-np.inf: "-Infinity", np.inf: "Infinity"}.get(edge, f"{edge:g}") for edge in edges[index : index + 2]]
        return json.dumps({"start": ends[0], "end": ends[1]})
    low, high = (f"{edge:g}" if np.isfinite(edge) else f"{edge:+g}" for edge in edges[index : index + 2])
    return f"{'[' if np.isfinite(edges[index]) else '('}{low}, {high})"


def _vocabulary(column: Values, state: State) -> State:
    flat: Any = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    counted: Counter[str] = Counter(as_text(_single(flat)).drop_null().to_pylist())
    often = [item for item in counted.items() if item[1] >= state["frequency_threshold"]]
    kept = sorted(often, key=lambda item: (-item[1], item[0]))[: state["top_k"]]
    return {"vocabulary": sorted(name for name, _ in kept), "most_frequent": kept[0][0] if kept else None}


def _encode_label(column: Values, state: State) -> Any:
    return pa.array(positions(as_text(_single(column)), pa.array(state["vocabulary"], pa.string())) + 1)


def _encode_one_hot(column: Values, state: State) -> Any:
    codes = _encode_label(column, state).to_pylist()
    dropped = None
    if state["drop"].lower() == "most_frequent" and state["most_frequent"] is not None:
        dropped = state["vocabulary"].index(state["most_frequent"]) + 1
    return pa.array([[] if code == dropped else [{"index": code, "value": 1.0}] for code in codes], _PAIRS)


def _encode_many(column: Values, state: State) -> Any:
    numbered = {name: index for index, name in enumerate(state["vocabulary"], 1)}
    rows = []
    for row in _arrays(column).to_pylist():
        codes = sorted({numbered.get(str(item), 0) if item is not None else 0 for item in row}) if row else [0]
        rows.append([{"index": code, "value": 1.0} for code in codes])
    return pa.array(rows, _PAIRS)


def _hash_bucketize(column: Values, state: State) -> Any:
    size = state["hash_bucket_size"]

    def place(text: str | None) -> int | None:
        if text is None:
            return None
        number: int = farmhash.fingerprint64(text)
        return number % size if size else number - (2**64 if number >= 2**63 else 0)

    return pa.array([place(text) for text in as_text(_single(column)).to_pylist()], pa.int64())


def _cross(column: Values, state: State) -> Any:
    degree, names = state["degree"], _fields(column)
    if degree > len(names):
        raise BadInput(f"takes a STRUCT of at least {degree} columns for the degree {degree}, not of {len(names)}")
    parts = {name: as_text(_single(pc.struct_field(column, name))) for name in names}
    crossed = {}
    for size in range(2, degree + 1):
        for chosen in combinations(names, size):
            crossed["_".join(chosen)] = pc.binary_join_element_wise(*(parts[name] for name in chosen), "_")
    return _struct(crossed)


def _polynomial(column: Values, state: State) -> Any:
    names = _fields(column)
    parts = {name: _floats(_numbers(pc.struct_field(column, name))) for name in names}
    expanded = {}
    for size in range(1, state["degree"] + 1):
        for chosen in combinations_with_replacement(names, size):
            product = parts[chosen[0]]
            for name in chosen[1:]:
                product = pc.multiply(product, parts[name])
            expanded["_".join(chosen)] = product
    return _struct(expanded)


def _ngrams(column: Values, state: State) -> Any:
    sizes = state["range"] if isinstance(state["range"], list) else [state["range"]] * 2
    rows = []
    for row in _arrays(column).to_pylist():
        words = [str(word) for word in row or ()]
        spans = [(i, i + n) for n in range(sizes[0], sizes[-1] + 1) for i in range(len(words) - n + 1)]
        rows.append(None if row is None else [state["separator"].join(words[i:j]) for i, j in sorted(spans)])
    return pa.array(rows, pa.list_(pa.string()))


def _norm(row: Sequence[float], p: float) -> float:
    return float(np.linalg.norm(np.asarray(row, float), np.inf if p == np.inf else p))


def _normalize(column: Values, state: State) -> Any:
    rows = _vectors(column)
    made = [None if row is None else [value / (_norm(row, state["p"]) or 1.0) for value in row] for row in rows]
    return pa.array(made, pa.list_(pa.float64()))


def _lp_norm(column: Values, state: State) -> Any:
    return pa.array([None if row is None else _norm(row, state["degree"]) for row in _vectors(column)], pa.float64())


def _known(column: Values) -> Array:
    values = _numbers(column)
    known = values[~np.isnan(values)]
    if not len(known):
        raise BadInput("has only NULLs to learn from; give it a column with values")
    return known


def _numbers(column: Values) -> Array:
    if not (is_numeric(column.type) or pa.types.is_null(column.type)):
        raise _takes("numbers", column)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), float)


def _single(column: Values) -> Values:
    if pa.types.is_nested(column.type) or pa.types.is_interval(column.type):
        raise _takes("single values", column)
    return column


def _arrays(column: Values) -> Values:
    if not pa.types.is_list(column.type):
        raise _takes("an ARRAY", column)
    return column


def _vectors(column: Values) -> list[Sequence[float] | None]:
    if not (pa.types.is_list(column.type) and is_numeric(column.type.value_type)):
        raise _takes("an ARRAY of numbers", column)
    rows: list[Sequence[float] | None] = column.to_pylist()
    if any(None in row for row in rows if row is not None):
        raise BadInput("takes an ARRAY of numbers without NULL in it; IFNULL(x, 0) fills them")
    return rows


def _takes(what: str, column: Values) -> BadInput:
    return BadInput(f"takes {what}, not {type_name(column.type)}")


def _floats(values: Array) -> Any:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _fields(column: Values) -> list[str]:
    if not pa.types.is_struct(column.type):
        raise _takes("a STRUCT of columns, such as STRUCT(a, b)", column)
    return [field.name for field in column.type]


def _struct(columns: Mapping[str, Any]) -> Any:
    parts = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns.values()]
    return pa.StructArray.from_arrays(parts, names=list(columns))


def _rising(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(is_number, value)) and value == sorted(set(value))


def _sizes(value: Any) -> bool:
    ends = value if isinstance(value, list) else [value, value]
    return len(ends) == 2 and all(type(end) is int for end in ends) and 1 <= ends[0] <= ends[1]  # noqa: PLR2004 - from, to


_TOP = [("top_k", whole(1), 32_000), ("frequency_threshold", whole(0), 5)]
_POINTS = Literal("an array of numbers, each above the one before", _rising)
_RANGE = Literal(
    "[low, high] in percent, 0 <= low < high <= 100",
    lambda value: _rising(value) and len(value) == 2 and value[0] >= 0 and value[1] <= 100,  # noqa: PLR2004 - as told
)
_NORM = Literal("0 or a number from 1", lambda value: is_number(value) and (value == 0 or value >= 1))
_FORMAT = one_of("bucket_names", "bucket_ranges", "bucket_ranges_json")
_STRATEGY, _DROP = one_of("mean", "median", "most_frequent"), one_of("none", "most_frequent")
_SIZES = Literal("a whole number from 1, or [least, most]", _sizes)

FUNCTIONS: Mapping[str, Function] = {
    "STANDARD_SCALER": Function(
        settings=[],
        learn=_standard,
        apply=lambda c, s: _floats((_numbers(c) - s["mean"]) / (s["stddev"] or 1.0)),
    ),
    "MIN_MAX_SCALER": Function(
        settings=[],
        learn=_range,
        apply=lambda c, s: _floats(np.clip((_numbers(c) - s["min"]) / ((s["max"] - s["min"]) or 1.0), 0, 1)),
    ),
    "MAX_ABS_SCALER": Function(
        settings=[],
        learn=_range,
        apply=lambda c, s: _floats(_numbers(c) / (s["most"] or 1.0)),
    ),
    "ROBUST_SCALER": Function(
        settings=[
            ("quantile_range", _RANGE, [25, 75]),
            ("with_median", FLAG, True),
            ("with_quantile_range", FLAG, True),
        ],
        learn=_robust,
        apply=_apply_robust,
    ),
    "QUANTILE_BUCKETIZE": Function(
        settings=[("num_buckets", whole(2), ...), ("output_format", _FORMAT, "bucket_names")],
        learn=_quantiles,
        apply=_bucketize,
    ),
    "BUCKETIZE": Function(
        settings=[
            ("points", _POINTS, ...),
            ("exclude_boundaries", FLAG, False),
            ("output_format", _FORMAT, "bucket_names"),
        ],
        apply=_bucketize,
    ),
    "IMPUTER": Function(settings=[("strategy", _STRATEGY, ...)], learn=_impute, apply=_apply_impute),
    "LABEL_ENCODER": Function(settings=_TOP, learn=_vocabulary, apply=_encode_label),
    "ONE_HOT_ENCODER": Function(settings=[("drop", _DROP, "none"), *_TOP], learn=_vocabulary, apply=_encode_one_hot),
    "MULTI_HOT_ENCODER": Function(settings=_TOP, learn=_vocabulary, apply=_encode_many),
    "HASH_BUCKETIZE": Function(settings=[("hash_bucket_size", whole(0), ...)], apply=_hash_bucketize),
    "FEATURE_CROSS": Function(settings=[("degree", whole(2), 2)], apply=_cross),
    "POLYNOMIAL_EXPAND": Function(settings=[("degree", whole(1), 2)], apply=_polynomial),
    "NGRAMS": Function(settings=[("range", _SIZES, ...), ("separator", TEXT, " ")], apply=_ngrams),
    "NORMALIZER": Function(settings=[("p", _NORM, 2)], apply=_normalize),
    "LP_NORM": Function(settings=[("degree", _NORM, ...)], apply=_lp_norm),
}
