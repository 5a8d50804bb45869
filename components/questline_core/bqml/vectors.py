"""ARRAY features: rows of numbers, or of pairs of index and value, as one dense array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from questline_core.errors import BadInput

_Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
_MOST_NUMBERS = 2**27
"""Numbers of one feature in all rows: 1 GiB."""


def width_of(rows: Sequence[Any], *, feature: str, kind: str) -> int:
    """Tell how many places the longest row has.

    Raises:
        BadInput: all rows together would have too many, or a pair is none.
    """
    if kind == "sparse":
        width = 1 + max((_pair(feature, item)[0] for row in rows for item in row or ()), default=-1)
    else:
        width = max((len(row) for row in rows if row), default=0)
    if width * len(rows) > _MOST_NUMBERS:
        raise BadInput(
            f"the column {feature} has {width:,} places in {len(rows):,} rows, and a feature may have "
            f"{_MOST_NUMBERS:,} numbers here; use smaller indexes or fewer rows"
        )
    return width


def spread(rows: Sequence[Any], width: int, *, feature: str, kind: str) -> _Array:
    """Make an array (rows, width) of `vector` or `sparse` rows: NaN for a missing number, 0 for a missing index.

    Raises:
        BadInput: a pair is none, or a number is infinite.
    """
    if kind == "sparse":
        dense = np.zeros((len(rows), width))
        for place, row in enumerate(rows):
            for index, value in (_pair(feature, item) for item in row or ()):
                if index < width:
                    dense[place, index] = value
        return finite(dense, feature)
    dense = np.full((len(rows), width), np.nan)
    for place, row in enumerate(rows):
        if row is not None:
            dense[place, : len(row)] = [np.nan if item is None else float(item) for item in row[:width]]
    return finite(dense, feature)


def _pair(feature: str, item: Mapping[str, Any] | None) -> tuple[int, float]:
    index, value = item.values() if item else (None, None)
    if index is None or value is None or index < 0:
        raise BadInput(
            f"the column {feature} holds a pair without a value or with an index that is NULL or below 0; "
            "an index is a whole number from 0"
        )
    return int(index), float(value)


def finite(values: _Array, name: str) -> _Array:
    """Refuse infinite numbers: no mean and no model can be made of them.

    Raises:
        BadInput: there is one.
    """
    if np.isinf(values).any():
        raise BadInput(f"the column {name} holds an infinite number; make it NULL, such as by IF(IS_INF(x), NULL, x)")
    return values
