"""Score the players with the model that was decided on, keep it as the one in use, and hand the scores out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from questline_core.churn.evaluation import Costs
from questline_core.churn.judging import InUse
from questline_core.churn.models import KINDS, name_of, priors, scores
from questline_core.churn.tables import Players, Rules
from questline_core.errors import BadInput
from questline_core.lookup.publish import Terms
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

IN_USE, SCORES = "churn.in_use", "churn.scores"
"""Tables: the model that scores, one row; and the scores of its last run."""

_PLACE = "gs://questline-churn/scores-*.csv"  # where the file exports to until it is told


def read_in_use(warehouse: Warehouse) -> InUse | None:
    """Tell which model scores the players; None before the first."""
    if IN_USE not in warehouse.tables():
        return None
    (row,) = warehouse.query(sql("churn/in_use.sql")).to_pylist()
    return InUse(**row)


def take_in_use(warehouse: Warehouse, model: InUse | None, *, dropping: str) -> None:
    """Keep a model as the one in use, and drop those of the training that is not: each has a version of its own.

    Args:
        warehouse: of the models.
        model: the one that scores from now on; None when none does.
        dropping: the version whose other models go; the one that was in use before goes too.
    """
    before, stale = read_in_use(warehouse), {name_of(kind, dropping) for kind in KINDS}
    stale |= {name_of(before.kind, before.version)} if before else set()
    if model:
        row = {"kind": model.kind, "version": model.version, "threshold": model.threshold}
        warehouse.replace(IN_USE, pa.Table.from_pylist([row]))
        stale -= {name_of(model.kind, model.version)}
    for name in sorted(stale):
        warehouse.query(f"DROP MODEL IF EXISTS {name}")


def score(
    warehouse: Warehouse, model: InUse | None, players: Players, rules: Rules, *, lineage: Mapping[str, Any]
) -> tuple[pa.Table, Terms]:
    """Score everybody who was seen in the last days, as `lookup.publish` and `lookup.exported` take it.

    Without a model everybody has a prior, and counts as leaving from the probability on from which an offer pays.
    """
    if model:
        rows = scores(warehouse, model.kind, players, rules, version=model.version)
    else:
        rows = scores(warehouse, None, players, rules)
    made_by = {"model": name_of(model.kind, model.version) if model else "", "as_of_micros": players.as_of_micros}
    threshold = model.threshold if model else Costs().break_even
    prior = priors(warehouse)["first_hours"]
    return rows, Terms(prior=prior, threshold=threshold, lineage={**lineage, **made_by})


def export_csv(warehouse: Warehouse, rows: pa.Table, terms: Terms, place: str) -> None:
    """Put the scores into `churn.scores`, and from there into CSV files with the columns of the published export.

    Args:
        warehouse: to put them in.
        rows: the scores.
        terms: whose threshold tells who counts as leaving.
        place: a folder, or gs://BUCKET/FOLDER for BigQuery.

    Raises:
        BadInput: the place has a quote or a backslash in its name, or cannot be written.
    """
    if re.search(r"['\\\n*]", place):
        raise BadInput(f"{place!r} is no place for an export; use a name without quotes, backslashes and *")
    told = pa.array((rows["probability"].to_numpy() >= terms.threshold).astype("int64"))
    columns = [rows["user_pseudo_id"], rows["churned"], told, rows["probability"], rows["source"]]
    names = ["user_pseudo_id", "churned", "predicted_churned", "probability_churned", "source"]
    warehouse.replace(SCORES, pa.table(columns, names=names))
    warehouse.query(sql("churn/export.sql").replace(_PLACE, f"{place.rstrip('/')}/scores-*.csv"))
