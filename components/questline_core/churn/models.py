"""Train the three models of churn in the warehouse, ask them, and score the players."""

from __future__ import annotations

import re
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
"""Each is the file sql/models/KIND.sql and the model churn.KIND, or churn.KIND_VERSION for a version."""

_CHAMPION = "churn.champion"  # how the files name the model that is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What a model says of rows that were held out; every array has one value a row."""

    fold: NDArray[np.int64]
    """The hash of the player, 8 or 9 in the split by a hash."""
    churned: NDArray[np.float64]
    """1 for players who left, else 0."""
    probability: NDArray[np.float64]


def name_of(kind: str, version: str = "") -> str:
    """Name the model of a kind; with a version it has a name of its own, so that it can be kept beside later ones.

    Raises:
        BadInput: there is no such kind, or the version has other characters than letters, digits and _.
    """
    if kind not in KINDS:
        raise BadInput(f"there is no churn model {kind!r}; take one of {', '.join(KINDS)}")
    if not re.fullmatch(r"\w*", version, re.ASCII):
        raise BadInput(f"{version!r} is no version of a model; use letters, digits and _")
    return f"churn.{kind}_{version}" if version else f"churn.{kind}"


def train(warehouse: Warehouse, kind: str, *, version: str = "") -> None:
    """Train the model on `churn.training`.

    Raises:
        BadInput: there is no such kind, or the warehouse cannot train it.
    """
    name = name_of(kind, version)
    warehouse.query(sql(f"churn/models/{kind}.sql").replace(f"MODEL {name_of(kind)}\n", f"MODEL {name}\n"))


def predict(warehouse: Warehouse, kind: str, *, version: str = "") -> Predictions:
    """Ask the model about all rows of `churn.held_out`."""
    return predictions_of(warehouse.query(sql("churn/predictions.sql").replace(_CHAMPION, name_of(kind, version))))


def importance(warehouse: Warehouse, kind: str, *, version: str = "") -> Mapping[str, float]:
    """Give how far each feature moves the model's answers on `churn.held_out`, the strongest first."""
    rows = warehouse.query(sql("churn/importance.sql").replace(_CHAMPION, name_of(kind, version))).to_pylist()
    return {row["feature"]: row["importance"] for row in rows}


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


def scores(warehouse: Warehouse, kind: str | None, players: Players, rules: Rules, *, version: str = "") -> pa.Table:
    """Score every player seen in the last days by a model, as `lookup.publish` takes them.

    A player whom a model cannot judge has a prior, and the source `first_hours` or `bounced` instead of the kind. With
    the kind None all others have a prior too, and the source `prior`.
    """
    now = players.as_of_micros
    warehouse.query(sql("churn/to_score.sql"), as_of=now, seen_after=now - rules.seen_days * DAY)
    if kind is None:
        rows = warehouse.query(sql("churn/prior_scores.sql"), **priors(warehouse))
    else:
        text = sql("churn/scores.sql").replace(_CHAMPION, name_of(kind, version))
        rows = warehouse.query(text, model=kind, **priors(warehouse))
    return rows.select(SCHEMA.names).cast(SCHEMA)
