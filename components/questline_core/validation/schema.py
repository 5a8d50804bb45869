"""What every example of the spend model must be, whatever the game: types, ranges and columns that agree."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandera.pandas as pa

from questline_core.features.online import NUMBERS, TEXTS

_CEILINGS = {"local_hour": 24.0, "skill": 1.0}
_MAY_BE_UNKNOWN = frozenset(
    {
        "days_since_install",
        "hours_since_last_event",
        "hours_since_session_start",
        "days_since_last_spend",
        "local_hour",
        "level_max",
        "last_spend_value",
        "skill",
    }
)
"""Of a player who never did such a thing; every other number is counted and is there."""
_COUNTED = ("events", "fails", "spends", "spend_sum")
_SPANS = ("1h", "24h", "7d")
_ROUNDING = 1e-6
KEY = ("player", "at_micros")
"""One example a player and moment."""


def example_schema() -> pa.DataFrameSchema:
    """Give the rules of a table of examples."""
    columns = {
        "player": pa.Column(str, _filled()),
        "at_micros": pa.Column(np.int64, pa.Check.gt(0, error="is after 1970")),
        **{name: pa.Column(float, _bounds(name), nullable=name in _MAY_BE_UNKNOWN) for name in NUMBERS},
        **{name: pa.Column(str) for name in TEXTS if name != "event_name"},
        "event_name": pa.Column(str, _filled()),
        "spend": pa.Column(float, _bounds("spend")),
    }
    return pa.DataFrameSchema(columns, checks=list(_growing()), strict=True)


def _filled() -> pa.Check:
    return pa.Check.str_length(min_value=1, error="is not empty")


def _bounds(name: str) -> pa.Check:
    most = _CEILINGS.get(name)
    if most is None:
        return pa.Check(lambda values: (values >= 0) & np.isfinite(values), error="is not negative, and finite")
    return pa.Check.in_range(0, most, error=f"is from 0 to {most:g}")


def _growing() -> list[pa.Check]:
    """A longer span holds what a shorter one holds."""
    return [
        pa.Check(
            lambda rows, short=f"{name}_{short}", long=f"{name}_{long}": rows[short] <= rows[long] + _ROUNDING,
            error=f"{name}_{short} is not more than {name}_{long}",
        )
        for name in _COUNTED
        for short, long in pairwise(_SPANS)
    ]
