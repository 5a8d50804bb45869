"""What became of the answers of churn: who was said to leave, and who came back?

An answer says whether a player comes back once the first 24 hours are over. One that was given in these hours is held
against that: the label is the one that the models learn. Whoever asks later has come back, so that nothing is left to
predict; a game takes the score for whether the player leaves now. So a later answer is held against the same question
asked anew: whether the player is engaged again once 24 hours are over since the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from questline_core import metrics
from questline_core.churn.tables import DAY, HOUR, Rules, engagements
from questline_core.metrics import Bin
from questline_core.monitoring.answers import Answers
from questline_core.monitoring.outcomes import PRIOR
from questline_core.warehouse.port import Warehouse

FIRST_DAY, LATER = "first 24 hours", "later"
"""When in a player's life an answer was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnOutcome:
    """What a generation of the lookup answered at a time of life, and what came."""

    revision: str
    """The generation, or `PRIOR` where none answered."""
    life: str
    """`FIRST_DAY` or `LATER`."""
    answers: int
    """Answers whose label is due, one a player and day."""
    left: int
    """Those of them whose player did not come back."""
    expected: float
    """How many were said to leave: the sum of the probabilities."""
    log_loss: float
    brier: float
    roc_auc: float
    """0.5 where all have the same probability; NaN where all left or all stayed."""
    calibration: Sequence[Bin]
    """Tenths of the answers by probability: probability and share that left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnOutcomes:
    """The answers that are due, and how many are not."""

    due_hours: int
    """How long after its 24 hours have begun a label is due."""
    found: Sequence[ChurnOutcome]
    """The generation that answered first, first."""
    waiting: int
    """Answers whose label is not due, or whose player was never engaged, so that there is none."""


def churn_outcomes(warehouse: Warehouse, given: Answers | None, *, now_micros: int) -> ChurnOutcomes:
    """Hold answers against whether their players came back.

    Args:
        warehouse: holds the events.
        given: the answers of churn; None for none.
        now_micros: up to here the events tell what players did.
    """
    hours = 24 + Rules().grace_hours
    if given is None:
        return ChurnOutcomes(due_hours=hours, found=(), waiting=0)
    drawn = given.take(given.drawn)
    first, last = _first_and_last(warehouse, drawn, now_micros)
    early = drawn.at_micros < first + DAY
    begun = np.where(early, first, drawn.at_micros)
    due = (begun + hours * HOUR <= now_micros) & ~np.isnan(last)
    left = (last < begun + DAY).astype(np.float64)
    found = _by_revision(drawn.take(due), np.where(early, FIRST_DAY, LATER)[due], left[due])
    return ChurnOutcomes(due_hours=hours, found=list(found), waiting=int((~due).sum()))


def _first_and_last(
    warehouse: Warehouse, given: Answers, now_micros: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the first and the last engagement of the player of each answer; NaN where the table does not hold it."""
    known = {row["user_pseudo_id"]: row for row in engagements(warehouse, as_of_micros=now_micros).to_pylist()}
    rows = [known.get(player, {}) for player in given.players]
    first = [None if row.get("is_truncated") else row.get("first_micros") for row in rows]
    return np.array(first, np.float64), np.array([row.get("last_micros") for row in rows], np.float64)


def _by_revision(due: Answers, lives: NDArray[Any], left: NDArray[np.float64]) -> Iterator[ChurnOutcome]:
    names = np.where(due.revisions == "", PRIOR, due.revisions)
    for name, life in product(dict.fromkeys(names.tolist()), (FIRST_DAY, LATER)):
        rows = (names == name) & (lives == life)
        if not rows.any():
            continue
        probability, gone = due.given.probability[rows], left[rows]
        yield ChurnOutcome(
            revision=name,
            life=life,
            answers=len(gone),
            left=int(gone.sum()),
            expected=float(probability.sum()),
            log_loss=float(metrics.losses(gone, probability).mean()),
            brier=metrics.brier(gone, probability),
            roc_auc=metrics.roc_auc(gone, probability),
            calibration=metrics.bins(gone, probability),
        )
