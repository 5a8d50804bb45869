"""What became of answers once their time is over: was the interval right, the probability, the total?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from questline_core import metrics
from questline_core.metrics import Bin, Floats
from questline_core.models.store import latest
from questline_core.monitoring.answers import Answers
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

PRIOR = "prior"
"""Stands for the revision of answers that no model gave."""
_HOUR = 3_600_000_000  # microseconds
_USUAL_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a revision answered, and what came."""

    revision: str
    """A model version, or `PRIOR`."""
    answers: int
    """Answers whose time is over."""
    spenders: int
    """Those of them whose player spent."""
    expected: float
    """What was answered in all, in virtual currency."""
    actual: float
    """What was spent in all."""
    coverage: float
    """Share whose spend lies within the bounds."""
    coverage_of_spenders: float
    """The same of those with spend; NaN without any."""
    brier: float
    """Mean squared error of the probability."""
    log_loss: float
    calibration: Sequence[Bin]
    """Tenths of the answers by probability: probability and share that spent."""

    @property
    def total_error(self) -> float:
        """What was answered by what was spent, less 1; NaN when nothing was spent."""
        return self.expected / self.actual - 1 if self.actual else float("nan")

    @property
    def chance(self) -> float:
        """How far from the truth the coverage of spenders may be by chance, 95 %; NaN without any."""
        share = self.coverage_of_spenders
        return float(1.96 * np.sqrt(share * (1 - share) / self.spenders)) if self.spenders else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The answers that are due, by revision, and how many are not yet."""

    horizon_hours: int
    by_revision: Sequence[Outcome]
    """The revision that answered first, first."""
    waiting: int
    """Answers whose time is not over."""


def outcomes(warehouse: Warehouse, given: Answers | None, *, now_micros: int, model_store: str) -> Outcomes:
    """Hold answers against what their players spent in the hours that the newest model predicts.

    Args:
        warehouse: holds the events.
        given: the answers; None for none.
        now_micros: up to here the events tell what players did.
        model_store: where the newest model says how far ahead it predicts.
    """
    hours = _horizon_hours(model_store)
    if given is None:
        return Outcomes(horizon_hours=hours, by_revision=(), waiting=0)
    over = given.at_micros + hours * _HOUR <= now_micros
    due = given.take(over)
    spend = _spend_after(warehouse, due, hours) if len(due) else np.empty(0)
    return Outcomes(horizon_hours=hours, by_revision=list(_by_revision(due, spend)), waiting=int((~over).sum()))


def _horizon_hours(model_store: str) -> int:
    newest = latest(model_store, "spend")
    return int(newest.metadata.get("lineage", {}).get("horizon_hours", _USUAL_HOURS)) if newest else _USUAL_HOURS


def _spend_after(warehouse: Warehouse, due: Answers, hours: int) -> Floats:
    labels = warehouse.query(sql("spend/labels.sql"), horizon=hours * _HOUR)
    spend = dict(zip(labels["event_id"].to_pylist(), labels["spend"].to_pylist(), strict=True))
    return np.array([spend.get(event_id, 0.0) for event_id in due.event_ids])


def _by_revision(due: Answers, spend: Floats) -> Iterator[Outcome]:
    names = np.where(due.revisions == "", PRIOR, due.revisions)
    for name in dict.fromkeys(names.tolist()):
        rows = names == name
        yield _judge(name, due.take(rows), spend[rows])


def _judge(revision: str, due: Answers, spend: Floats) -> Outcome:
    given, spent = due.given, spend > 0
    positive = spent.astype(np.float64)
    within = (given.lower_bound <= spend) & (spend <= given.upper_bound)
    return Outcome(
        revision=revision,
        answers=len(due),
        spenders=int(spent.sum()),
        expected=float(given.value.sum()),
        actual=float(spend.sum()),
        coverage=float(within.mean()),
        coverage_of_spenders=float(within[spent].mean()) if spent.any() else float("nan"),
        brier=metrics.brier(positive, given.probability),
        log_loss=float(metrics.losses(positive, given.probability).mean()),
        calibration=metrics.bins(positive, given.probability),
    )
