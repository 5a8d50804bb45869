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

from questline_core.bqml.preprocessing import Array, as_text, numbers, positions, taken
from questline_core.errors import BadInput

State: TypeAlias = Mapping[str, Any]
Values: TypeAlias = "pa.ChunkedArray[Any]"

_PAIRS = pa.list_(pa.struct([("index", pa.int64()), ("value", pa.float64())]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One ML function: of a column, with literal settings after it."""

    settings: Sequence[tuple[str, type | tuple[type, ...], Any]]
    """For each literal argument its name, Python type and default; no default (`...`) means that it must be given."""
    apply: Callable[[Values, State], Any]
    """Makes the new column from the old one, the settings and what was learned."""
    learn: Callable[[Values, State], State] | None = None
    """Learns from all training rows; such a function is followed by OVER() in the text."""


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
    values = numbers(column, "ML.ROBUST_SCALER") - (state["median"] if state["with_median"] else 0)
    return _floats(values / (state["spread"] or 1.0) if state["with_quantile_range"] else values)


def _quantiles(column: Values, state: State) -> State:
    count = state["num_buckets"]
    if count < 2:  # noqa: PLR2004 - a bucket is one of several
        raise BadInput("ML.QUANTILE_BUCKETIZE needs at least 2 buckets")
    inner = np.quantile(_known(column), np.arange(1, count) / count)
    return {"points": sorted(set(inner.tolist()))}


def _impute(column: Values, state: State) -> State:
    strategy = state["strategy"].lower()
    if strategy == "most_frequent":
        counted = Counter(column.drop_null().to_pylist())
        most = max(counted.values(), default=0)
        often: list[Any] = [value for value, count in counted.items() if count == most]
        return {"value": min(often, default=None)}
    if strategy not in ("mean", "median"):
        raise BadInput(f"ML.IMPUTER fills by 'mean', 'median' or 'most_frequent', not {strategy!r}")
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
    values, edges = numbers(column, "ML.BUCKETIZE"), [-np.inf, *points, np.inf]
    form = state["output_format"].lower()
    if form not in ("bucket_names", "bucket_ranges", "bucket_ranges_json"):
        raise BadInput(f"a bucket is written as bucket_names, bucket_ranges or bucket_ranges_json, not {form!r}")
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
    flat = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    counted = Counter(as_text(flat).drop_null().to_pylist())
    often = [item for item in counted.items() if item[1] >= state["frequency_threshold"]]
    kept = sorted(often, key=lambda item: (-item[1], item[0]))[: state["top_k"]]
    return {"vocabulary": sorted(name for name, _ in kept), "most_frequent": kept[0][0] if kept else None}


def _encode_label(column: Values, state: State) -> Any:
    return pa.array(positions(as_text(column), pa.array(state["vocabulary"], pa.string())) + 1)


def _encode_one_hot(column: Values, state: State) -> Any:
    if state["drop"].lower() not in ("none", "most_frequent"):
        raise BadInput(f"ML.ONE_HOT_ENCODER drops 'none' or 'most_frequent', not {state['drop']!r}")
    codes = _encode_label(column, state).to_pylist()
    dropped = None
    if state["drop"].lower() == "most_frequent" and state["most_frequent"] is not None:
        dropped = state["vocabulary"].index(state["most_frequent"]) + 1
    return pa.array([[] if code == dropped else [{"index": code, "value": 1.0}] for code in codes], _PAIRS)


def _encode_many(column: Values, state: State) -> Any:
    numbered = {name: index for index, name in enumerate(state["vocabulary"], 1)}
    rows = []
    for row in column.to_pylist():
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

    return pa.array([place(text) for text in as_text(column).to_pylist()], pa.int64())


def _cross(column: Values, state: State) -> Any:
    degree, names = state["degree"], _fields(column, "ML.FEATURE_CROSS")
    if not 2 <= degree <= len(names):  # noqa: PLR2004 - a cross is of several
        raise BadInput(f"ML.FEATURE_CROSS of {len(names)} columns has a degree from 2 to {len(names)}, not {degree}")
    parts = {name: as_text(pc.struct_field(column, name)) for name in names}
    crossed = {}
    for size in range(2, degree + 1):
        for chosen in combinations(names, size):
            crossed["_".join(chosen)] = pc.binary_join_element_wise(*(parts[name] for name in chosen), "_")
    return _struct(crossed)


def _polynomial(column: Values, state: State) -> Any:
    names = _fields(column, "ML.POLYNOMIAL_EXPAND")
    parts = {name: pc.struct_field(column, name).cast(pa.float64()) for name in names}
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
    for row in column.to_pylist():
        words = [str(word) for word in row or ()]
        spans = [(i, i + n) for n in range(sizes[0], sizes[-1] + 1) for i in range(len(words) - n + 1)]
        rows.append(None if row is None else [state["separator"].join(words[i:j]) for i, j in sorted(spans)])
    return pa.array(rows, pa.list_(pa.string()))


def _norm(row: Sequence[float], p: float) -> float:
    return float(np.linalg.norm(np.asarray(row, float), np.inf if p == np.inf else p))


def _normalize(column: Values, state: State) -> Any:
    rows = column.to_pylist()
    made = [None if row is None else [value / (_norm(row, state["p"]) or 1.0) for value in row] for row in rows]
    return pa.array(made, pa.list_(pa.float64()))


def _lp_norm(column: Values, state: State) -> Any:
    return pa.array([None if row is None else _norm(row, state["degree"]) for row in column.to_pylist()], pa.float64())


def _known(column: Values) -> Array:
    values = numbers(column, "of an ML function")
    known = values[~np.isnan(values)]
    if not len(known):
        raise BadInput("an ML function of TRANSFORM has only NULLs to learn from")
    return known


def _floats(values: Array) -> Any:
    return pa.array(values, pa.float64(), mask=np.isnan(values))


def _fields(column: Values, function: str) -> list[str]:
    if not pa.types.is_struct(column.type):
        raise BadInput(f"{function} takes a STRUCT of columns, such as {function}(STRUCT(a, b))")
    return [field.name for field in column.type]


def _struct(columns: Mapping[str, Any]) -> Any:
    parts = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns.values()]
    return pa.StructArray.from_arrays(parts, names=list(columns))


_NUMBER = (int, float)
_TOP = [("top_k", int, 32_000), ("frequency_threshold", int, 5)]

FUNCTIONS: Mapping[str, Function] = {
    "STANDARD_SCALER": Function(
        settings=[],
        learn=_standard,
        apply=lambda c, s: _floats((numbers(c, "ML.STANDARD_SCALER") - s["mean"]) / (s["stddev"] or 1.0)),
    ),
    "MIN_MAX_SCALER": Function(
        settings=[],
        learn=_range,
        apply=lambda c, s: _floats(
            np.clip((numbers(c, "ML.MIN_MAX_SCALER") - s["min"]) / ((s["max"] - s["min"]) or 1.0), 0, 1)
        ),
    ),
    "MAX_ABS_SCALER": Function(
        settings=[],
        learn=_range,
        apply=lambda c, s: _floats(numbers(c, "ML.MAX_ABS_SCALER") / (s["most"] or 1.0)),
    ),
    "ROBUST_SCALER": Function(
        settings=[("quantile_range", list, [25, 75]), ("with_median", bool, True), ("with_quantile_range", bool, True)],
        learn=_robust,
        apply=_apply_robust,
    ),
    "QUANTILE_BUCKETIZE": Function(
        settings=[("num_buckets", int, ...), ("output_format", str, "bucket_names")], learn=_quantiles, apply=_bucketize
    ),
    "BUCKETIZE": Function(
        settings=[("points", list, ...), ("exclude_boundaries", bool, False), ("output_format", str, "bucket_names")],
        apply=_bucketize,
    ),
    "IMPUTER": Function(settings=[("strategy", str, ...)], learn=_impute, apply=_apply_impute),
    "LABEL_ENCODER": Function(settings=_TOP, learn=_vocabulary, apply=_encode_label),
    "ONE_HOT_ENCODER": Function(settings=[("drop", str, "none"), *_TOP], learn=_vocabulary, apply=_encode_one_hot),
    "MULTI_HOT_ENCODER": Function(settings=_TOP, learn=_vocabulary, apply=_encode_many),
    "HASH_BUCKETIZE": Function(settings=[("hash_bucket_size", int, ...)], apply=_hash_bucketize),
    "FEATURE_CROSS": Function(settings=[("degree", int, 2)], apply=_cross),
    "POLYNOMIAL_EXPAND": Function(settings=[("degree", int, 2)], apply=_polynomial),
    "NGRAMS": Function(settings=[("range", (list, int), ...), ("separator", str, " ")], apply=_ngrams),
    "NORMALIZER": Function(settings=[("p", _NUMBER, 2)], apply=_normalize),
    "LP_NORM": Function(settings=[("degree", _NUMBER, ...)], apply=_lp_norm),
}
