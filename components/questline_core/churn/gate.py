"""Decide which model scores the players: the champion of a new training, or the one that is in use."""

from __future__ import annotations

from dataclasses import dataclass

from questline_core.churn.judging import InUse, Judged

LEAST_ROWS = 30
"""With fewer players to judge on, luck decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which model scores from now on, with the reasons."""

    model: InUse | None
    """None when no model deserves it: everybody then has a prior, which the source of the score tells."""
    is_new: bool
    reasons: tuple[str, ...]


def decide(judged: Judged) -> Decision:
    """Take the champion if it is better than the base rate and not worse, beyond doubt, than the model in use.

    A refused champion leaves the model in use at work: the players of the day are scored by it.
    """
    best = judged.best
    checks = [
        (best.rows >= LEAST_ROWS, f"judged on {best.rows} players, and {LEAST_ROWS} are needed"),
        (
            best.log_loss.value < best.base_log_loss,
            f"log loss {best.log_loss.value:.4f}, and {best.base_log_loss:.4f} with the base rate for everybody",
        ),
        (
            best.roc_auc.value > 0.5,  # noqa: PLR2004 - a coin's
            f"ROC AUC {best.roc_auc.value:.3f} ({best.roc_auc.low:.3f} to {best.roc_auc.high:.3f}); a coin has 0.5",
        ),
    ]
    if worse := judged.worse_than_in_use:
        interval = f"{worse.value:+.4f} ({worse.low:+.4f} to {worse.high:+.4f})"
        checks.append((worse.low <= 0, f"log loss less that of the model in use: {interval}; above 0 is worse"))
    passed = all(good for good, _ in checks)
    reasons = [f"The champion of the three is {judged.champion}, by log loss on the same players."]
    reasons += [f"{'For it' if good else 'Against it'}: {reason}." for good, reason in checks]
    if passed:
        new = InUse(kind=judged.champion, version=judged.version, threshold=best.threshold)
        return Decision(model=new, is_new=True, reasons=tuple(reasons))
    stays = judged.in_use
    reasons.append(
        f"It is not taken; {stays.kind} {stays.version} goes on."
        if stays
        else "It is not taken, and none is in use: everybody has a prior."
    )
    return Decision(model=stays, is_new=False, reasons=tuple(reasons))
