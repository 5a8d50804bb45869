"""Decide from evaluations whether a spend model may serve, and say why in sentences with numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from questline_core.errors import BadInput
from questline_core.spend.evaluation import Evaluation, Rival

LEAST_ROWS, LEAST_POSITIVES = 500, 30
"""With fewer rows, or fewer with spend, luck decides."""
LEAST_ROC_AUC = 0.6
LEAST_GINI = 0.1
MOST_TOTAL_ERROR = 0.5
"""A forecast that misses the total by more than half, beyond doubt, is of no use for planning."""
TOLERATED_LOSS = 0.02
"""How much higher the log loss may be than the champion's, as a share: newer data are worth that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether to ship, with the reasons for and against."""

    ship: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    passed: bool
    reason: str


def judge(evaluation: Evaluation, champion: Evaluation | None, *, strict: bool = False, override: str = "") -> Verdict:
    """Judge a model: it must beat the constant beyond doubt, and be as good as every rival and the champion.

    Args:
        evaluation: of the model that wants to serve.
        champion: of the model that serves, on the same rows; None when none does.
        strict: whether every rival has to be beaten beyond doubt, which needs many players.
        override: who ships the model whatever is found, and why; empty when nobody does.

    Raises:
        BadInput: the two were evaluated on different rows.
    """
    findings = [
        _enough(evaluation),
        _beats_constant(evaluation),
        _tells_apart(evaluation),
        _orders_by_value(evaluation),
        _no_worse_amounts(evaluation),
        _close_to_actual(evaluation),
        *(_beats(rival, evaluation, strict=strict) for rival in evaluation.rivals),
        *_no_slice_lost(evaluation),
    ]
    if champion is not None:
        findings.append(_as_good_as(evaluation, champion))
    ship = all(one.passed for one in findings)
    reasons = tuple(one.reason if one.passed else f"Against it: {one.reason}" for one in findings)
    if not override:
        return Verdict(ship=ship, reasons=reasons)
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    found = "ship" if ship else "not ship"
    return Verdict(ship=True, reasons=(*reasons, f"Shipped by hand at {when} ({override}); the gate says: {found}."))


def read_evaluation(file: Path) -> Evaluation | None:
    """Read a metrics.json; an empty file is "there was nothing to evaluate".

    Raises:
        BadInput: the file is missing or holds something else.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read the evaluation {file} ({error.strerror}); evaluate the model first") from None
    return Evaluation.from_json(text) if text.strip() else None


def _enough(found: Evaluation) -> _Finding:
    passed = found.rows >= LEAST_ROWS and found.positives >= LEAST_POSITIVES
    text = f"{found.rows:,} examples of later days, {found.positives:,} of them with spend"
    if passed:
        return _Finding(passed=True, reason=f"Judged on {text}.")
    return _Finding(
        passed=False,
        reason=f"Only {text}: too few to judge by, {LEAST_ROWS} and {LEAST_POSITIVES} are needed.",
    )


def _beats_constant(found: Evaluation) -> _Finding:
    gain, losses = found.log_loss_gain, f"{found.model.log_loss:.4f} against {found.constant.log_loss:.4f}"
    passed = gain.low > 0
    verb = "beats the base rate" if passed else "does not beat the base rate beyond doubt"
    return _Finding(
        passed=passed,
        reason=f"Log loss {losses}: the model {verb} (gain {gain.value:.4f}, 95 % {gain.low:.4f} to {gain.high:.4f}).",
    )


def _tells_apart(found: Evaluation) -> _Finding:
    auc = found.roc_auc
    passed = auc.value >= LEAST_ROC_AUC and auc.low > 0.5  # noqa: PLR2004 - what chance reaches
    verb = "tells who will spend" if passed else f"does not tell who will spend, {LEAST_ROC_AUC} is needed"
    return _Finding(
        passed=passed, reason=f"ROC AUC {auc.value:.3f} (95 % {auc.low:.3f} to {auc.high:.3f}): the model {verb}."
    )


def _orders_by_value(found: Evaluation) -> _Finding:
    gini = found.normalized_gini
    passed = gini.value >= LEAST_GINI and gini.low > 0
    verb = "orders" if passed else f"does not order ({LEAST_GINI} is needed, and more than luck)"
    return _Finding(
        passed=passed,
        reason=(
            f"Normalized Gini {gini.value:.3f} (95 % {gini.low:.3f} to {gini.high:.3f}): the expected value {verb} "
            "players by what they spend."
        ),
    )


def _no_worse_amounts(found: Evaluation) -> _Finding:
    """One player who spends a fortune decides the RMSE of a small sample, so only what is beyond doubt counts."""
    gain = found.rmse_gain
    passed = gain.high >= 0
    verb = "is not worse" if passed else "is worse beyond doubt"
    return _Finding(
        passed=passed,
        reason=(
            f"RMSE {found.model.rmse:.3f} against {found.constant.rmse:.3f}: the expected value {verb} than the mean "
            f"spend (gain {gain.value:.3f}, 95 % {gain.low:.3f} to {gain.high:.3f})."
        ),
    )


def _close_to_actual(found: Evaluation) -> _Finding:
    error = found.total_error
    passed = error.low <= MOST_TOTAL_ERROR and error.high >= -MOST_TOTAL_ERROR
    bound = "which may be" if passed else "beyond doubt not"
    return _Finding(
        passed=passed,
        reason=(
            f"The predicted total is {error.value:+.0%} off the actual one (95 % {error.low:+.0%} to "
            f"{error.high:+.0%}), {bound} within the {MOST_TOTAL_ERROR:.0%} allowed."
        ),
    )


def _beats(rival: Rival, found: Evaluation, *, strict: bool) -> _Finding:
    gain, theirs = rival.log_loss_gain, rival.scores.log_loss
    passed = gain.low > 0 if strict else bool(gain.high >= 0 and gain.value >= -TOLERATED_LOSS * theirs)
    verb = "beats" if gain.low > 0 else "is as good as" if passed else "does not beat"
    return _Finding(
        passed=passed,
        reason=(
            f"Log loss {found.model.log_loss:.4f} against {theirs:.4f}: the model {verb} the {rival.name} "
            f"(gain {gain.value:+.4f}, 95 % {gain.low:+.4f} to {gain.high:+.4f})."
        ),
    )


def _no_slice_lost(found: Evaluation) -> list[_Finding]:
    """Hold against a model the slices in which even the constant is better, beyond doubt."""
    lost = [one for one in found.slices if one.log_loss_gain.high < 0]
    if not lost:
        return [_Finding(passed=True, reason=f"No worse than the constant in any of {len(found.slices)} slices.")]
    return [
        _Finding(
            passed=False,
            reason=f"Worse than the constant, beyond doubt, among {one.name}: {one.rows:,} examples, gain "
            f"{one.log_loss_gain.value:+.4f} (95 % {one.log_loss_gain.low:+.4f} to {one.log_loss_gain.high:+.4f}).",
        )
        for one in lost
    ]


def _as_good_as(found: Evaluation, champion: Evaluation) -> _Finding:
    """Compare draw by draw: both evaluations drew the same players."""
    if found.rows_digest != champion.rows_digest:
        raise BadInput(
            "the model and the champion were evaluated on different rows; evaluate both on the same examples"
        )
    worse = np.array(found.log_loss_draws) - np.array(champion.log_loss_draws)
    low, high = np.quantile(worse, [0.025, 0.975])
    difference = found.model.log_loss - champion.model.log_loss
    passed = bool(low <= 0 and difference <= TOLERATED_LOSS * champion.model.log_loss)
    verb = "is as good as" if passed else "is worse than"
    return _Finding(
        passed=passed,
        reason=(
            f"Log loss {found.model.log_loss:.4f} against the champion's {champion.model.log_loss:.4f}: "
            f"the model {verb} the one that serves (difference {difference:+.4f}, 95 % {low:+.4f} to {high:+.4f})."
        ),
    )
