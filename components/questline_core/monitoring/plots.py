"""Draw what monitoring found: drift over time, skew by input, and what became of answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

import plotly.graph_objects as go

from questline_core.monitoring.churn import ChurnOutcome
from questline_core.monitoring.outcomes import Outcome
from questline_core.monitoring.skew import InputSkew
from questline_core.monitoring.watch import MOVED_PSI, Window, day_of
from questline_core.pages import MODEL, OTHER, calibration, figure, guide
from questline_core.spend.arrays import NOMINAL_COVERAGE

_MOST_LINES = 6
_LONG = 1000


def drift_plot(windows: Sequence[Window]) -> str:
    """Draw the scores and the inputs that moved most, by window."""
    peaks: dict[str, float] = {}
    for window in windows:
        peaks |= {name: max(psi, peaks.get(name, 0.0)) for name, psi in window.news.items()}
    if not peaks:
        return "<p>No window has enough rows yet.</p>"
    scores = [name for name in peaks if name.startswith("score ")]
    inputs = sorted(peaks.keys() - set(scores), key=lambda name: -peaks[name])[:_MOST_LINES]
    days = [day_of(window.until_micros) for window in windows]
    lines = [
        go.Scatter(
            x=days,
            y=[window.news.get(name) for window in windows],
            mode="markers+lines",
            name=escape(name),
            line={"width": 3.0 if name in scores else 1.5},
        )
        for name in (*scores, *inputs)
    ]
    much = guide(days, [MOVED_PSI] * len(days), "much of a change")
    return figure(
        "How far answers and inputs moved",
        "Stability index of each window against the training; thick lines are the model's answers.",
        [*lines, much],
        axes=("window up to", "stability index"),
    )


def skew_plot(differing: Sequence[InputSkew]) -> str:
    """Draw how often each input that differs does so."""
    ranked = list(differing)[::-1]
    bars = go.Bar(
        x=[one.differs for one in ranked],
        y=[escape(one.name) for one in ranked],
        orientation="h",
        marker_color=MODEL,
        name="differs",
    )
    return figure(
        "Inputs that were not those of an example",
        "Share of the compared answers in which the input that was served differs from the example of the same event.",
        [bars],
        axes=("share of answers", ""),
        height=max(200, 26 * len(ranked) + 90),
    )


def outcome_plots(found: Sequence[Outcome]) -> Iterator[str]:
    """Draw calibration, totals and the coverage of the interval, by revision."""
    yield figure(
        "Was a probability what it said?",
        "Tenths of a revision's answers by probability. On the line, 10 % meant that one in ten spent.",
        calibration({escape(one.revision): one.calibration for one in found}),
        axes=("probability that was answered", "share that spent"),
    )
    names = [escape(one.revision) for one in found]
    yield figure(
        "What was answered in all, and what was spent",
        "Sums over the answers whose time is over, in virtual currency.",
        [
            go.Bar(x=names, y=[one.expected for one in found], name="answered", marker_color=MODEL),
            go.Bar(x=names, y=[one.actual for one in found], name="spent", marker_color=OTHER),
        ],
        axes=("revision", "virtual currency"),
    )
    judged = [one for one in found if one.spenders]
    points = go.Scatter(
        x=[escape(one.revision) for one in judged],
        y=[one.coverage_of_spenders for one in judged],
        error_y={"array": [one.chance for one in judged], "color": OTHER},
        mode="markers",
        marker={"size": 10, "color": MODEL},
        name="within the bounds, with 95 % of chance",
    )
    promise = guide(names, [NOMINAL_COVERAGE] * len(names), f"promised: {NOMINAL_COVERAGE:.0%}")
    yield figure(
        "Was the interval right?",
        "Share of those who spent whose spend lay within the bounds that were answered.",
        [points, promise],
        axes=("revision", "share of spenders"),
    )


def churn_plot(found: Sequence[ChurnOutcome]) -> str:
    """Draw calibration by generation and time of life."""
    return figure(
        "Was a chance of leaving what it said?",
        "Tenths of a generation's answers by probability. On the line, 10 % meant that one in ten left.",
        calibration({escape(f"{one.revision}, {one.life}"): one.calibration for one in found}),
        axes=("probability that was answered", "share that left"),
    )


def number(value: float | str) -> str:
    """Write a value for a person: "?" is not known, and a dash no number."""
    if isinstance(value, str):
        return escape(value) or "?"
    if math.isnan(value) or math.isinf(value):
        return "?" if math.isnan(value) else "-"
    return f"{value:,.0f}" if abs(value) >= _LONG else f"{value:,.4g}"
