"""Show what monitoring found as one page of tables and plots, which needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from questline_core.monitoring.churn import ChurnOutcome, ChurnOutcomes
from questline_core.monitoring.observe import Findings
from questline_core.monitoring.outcomes import Outcome, Outcomes
from questline_core.monitoring.plots import churn_plot, drift_plot, number, outcome_plots, skew_plot
from questline_core.monitoring.profile import Distances
from questline_core.monitoring.skew import Skew
from questline_core.monitoring.watch import GROWING, MOVED_PSI, Watch, day_of
from questline_core.pages import fill, page, table
from questline_core.processes import write_atomically


def write_page(file: Path, found: Findings) -> None:
    """Write the page."""
    body = fill(
        "monitoring/page.html",
        model=escape(found.watch.model),
        drift=drift_plot(found.watch.windows),
        rows=_rows(found.watch),
        skew="".join(_skew(found.skew)),
        outcomes="".join(_outcomes(found.outcomes)),
        churn="".join(_churn(found.churn)),
    )
    write_atomically(file, page("What was served", body))


def _rows(found: Watch) -> str:
    heads = [f"to {day_of(one.until_micros)}<br>{one.rows:,} rows<br>{one.answers:,} answers" for one in found.windows]
    newest = found.windows[-1]
    rows = [_distances(f"score {name}", [one.scores.get(name) for one in found.windows]) for name in newest.scores]
    for name in sorted(newest.inputs, key=lambda one: (one in GROWING, -newest.inputs[one].psi)):
        label = f"{name} (grows)" if name in GROWING else name
        rows.append(_distances(label, [window.inputs.get(name) for window in found.windows]))
    return table(("", *heads, "KS", "JS"), rows)


def _distances(label: str, by_window: Sequence[Distances | None]) -> Sequence[str]:
    newest = by_window[-1]
    others = (f"{newest.ks:.3f}", f"{newest.js:.3f}") if newest else ("", "")
    return (escape(label), *map(_cell, by_window), *others)


def _cell(far: Distances | None) -> str:
    if far is None:
        return "too few rows"
    depth = min(1.0, far.psi / (4 * MOVED_PSI))
    return f'<span class="heat" style="background:rgba(224,120,43,{depth:.2f})">{far.psi:.3f}</span>'


def _skew(found: Skew) -> Iterator[str]:
    if not found.compared:
        yield "<p>No answer is kept yet whose event makes an example.</p>"
        return
    yield (
        f"<p>{found.compared:,} answers were compared; the events of {found.unmatched:,} more make no example. "
        f"{len(found.differing)} of {len(found.inputs)} inputs differ somewhere.</p>"
    )
    if not found.differing:
        return
    yield skew_plot(found.differing)
    rows = (
        (
            escape(one.name),
            f"{one.differs:.1%}",
            *map(number, (one.largest, one.served, one.expected)),
            escape(one.event_id),
        )
        for one in found.differing
    )
    yield table(("input", "differs", "largest difference", "served", "example", "event"), rows)


def _outcomes(found: Outcomes) -> Iterator[str]:
    yield f"<p>An answer is judged {found.horizon_hours} h after its event; {found.waiting:,} wait for that.</p>"
    if not found.by_revision:
        return
    heads = ("revision", "answers", "spenders", "answered", "spent", "error of the total", "within the bounds")
    yield table((*heads, "of spenders", "Brier", "log loss"), map(_facts, found.by_revision))
    yield from outcome_plots(found.by_revision)


def _facts(one: Outcome) -> list[str]:
    covered = f"{one.coverage_of_spenders:.0%} ± {one.chance:.0%}" if one.spenders else "nobody spent"
    error = f"{one.total_error:+.1%}" if one.actual else "nothing was spent"
    counts = [f"{one.answers:,}", f"{one.spenders:,}", number(one.expected), number(one.actual)]
    scores = [f"{one.brier:.4f}", f"{one.log_loss:.4f}"]
    return [escape(one.revision), *counts, error, f"{one.coverage:.1%}", covered, *scores]


def _churn(found: ChurnOutcomes) -> Iterator[str]:
    yield (
        f"<p>One answer a player and day is judged, {found.due_hours} h after its 24 hours have begun; "
        f"{found.waiting:,} wait for that.</p>"
    )
    if found.found:
        heads = ("generation", "given in", "answers", "left", "said to leave", "log loss", "Brier", "ROC AUC")
        yield table(heads, map(_churned, found.found), kind="told")
        yield churn_plot(found.found)


def _churned(one: ChurnOutcome) -> list[str]:
    counts = [f"{one.answers:,}", f"{one.left:,}", f"{one.expected:,.1f}"]
    return [escape(one.revision), one.life, *counts, f"{one.log_loss:.4f}", f"{one.brier:.4f}", number(one.roc_auc)]
