"""Train the three models of churn in the warehouse, ask them, and score the players."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from questline_core.churn.tables import DAY, Players, Rules
from questline_core.errors import BadInput
from questline_core.lookup.publish import SCHEMA
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

KINDS = ("logistic", "trees", "network")
"""Each is the file sql/models/KIND.sql and the model churn.KIND."""

_CHAMPION = "churn.champion"  # how the files name the model that is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model says of rows that were held out; every array has one value a row."""

    fold: NDArray[np.int64]
    """The hash of the player, 8 or 9 in the split by a hash."""
    churned: NDArray[np.float64]
    """1 for players who left, else 0."""
    probability: NDArray[np.float64]


def train(warehouse: Warehouse, kind: str) -> None:
    """Train the model `churn.KIND` on `churn.training`.

    Raises:
        BadInput: there is no such kind, or the warehouse cannot train it.
    """
    warehouse.query(sql(f"churn/models/{_checked(kind)}.sql"))


def predict(warehouse: Warehouse, kind: str) -> Predictions:
    """Ask the model `churn.KIND` about all rows of `churn.held_out`."""
    rows = warehouse.query(sql("churn/predictions.sql").replace(_CHAMPION, f"churn.{_checked(kind)}"))
    return predictions_of(rows)


def predictions_of(rows: pa.Table) -> Predictions:
    """Take the columns fold, churned and probability."""
    return Predictions(
        fold=rows["fold"].to_numpy().astype(np.int64),
        churned=rows["churned"].to_numpy().astype(np.float64),
        probability=rows["probability"].to_numpy().astype(np.float64),
    )


def priors(warehouse: Warehouse) -> Mapping[str, float]:
    """Give the probability for players of whom no model can tell: `first_hours` (also for unknown ones), `bounced`."""
    (found,) = warehouse.query(sql("churn/priors.sql")).to_pylist()
    return found


def scores(warehouse: Warehouse, kind: str, players: Players, rules: Rules) -> pa.Table:
    """Score every player seen in the last days by the model `churn.KIND`, as `lookup.publish` takes them.

    A player whom a model cannot judge has a prior, and the source `first_hours` or `bounced` instead of the kind.
    """
    now = players.as_of_micros
    warehouse.query(sql("churn/to_score.sql"), as_of=now, seen_after=now - rules.seen_days * DAY)
    text = sql("churn/scores.sql").replace(_CHAMPION, f"churn.{_checked(kind)}")
    return warehouse.query(text, model=kind, **priors(warehouse)).select(SCHEMA.names).cast(SCHEMA)


def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise BadInput(f"there is no churn model {kind!r}; take one of {', '.join(KINDS)}")
    return kind
