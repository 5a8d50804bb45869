"""Draw what monitoring found: drift over time, skew by input, and what became of answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from questline_core.monitoring.outcomes import Outcome
from questline_core.monitoring.skew import InputSkew
from questline_core.monitoring.watch import MOVED_PSI, Window, day_of
from questline_core.spend.arrays import NOMINAL_COVERAGE

_MODEL, _OTHER = "#2f6fde", "#9aa3b5"
_LAYOUT = {
    "template": "plotly_white",
    "height": 340,
    "margin": {"l": 64, "r": 16, "t": 12, "b": 56},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
}
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
    much = go.Scatter(x=days, y=[MOVED_PSI] * len(days), mode="lines", line={"dash": "dash", "color": _OTHER})
    much.name = "much of a change"
    return _figure(
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
        marker_color=_MODEL,
        name="differs",
    )
    return _figure(
        "Inputs that were not those of an example",
        "Share of the compared answers in which the input that was served differs from the example of the same event.",
        [bars],
        axes=("share of answers", ""),
        height=max(200, 26 * len(ranked) + 90),
    )


def outcome_plots(found: Sequence[Outcome]) -> Iterator[str]:
    """Draw calibration, totals and the coverage of the interval, by revision."""
    most = max((max(tenth.predicted, tenth.actual) for one in found for tenth in one.calibration), default=1.0)
    lines = [
        go.Scatter(
            x=[tenth.predicted for tenth in one.calibration],
            y=[tenth.actual for tenth in one.calibration],
            mode="markers+lines",
            name=escape(one.revision),
        )
        for one in found
    ]
    exact = go.Scatter(x=[0, most], y=[0, most], mode="lines", line={"dash": "dash", "color": _OTHER}, name="exact")
    yield _figure(
        "Was a probability what it said?",
        "Tenths of a revision's answers by probability. On the line, 10 % meant that one in ten spent.",
        [*lines, exact],
        axes=("probability that was answered", "share that spent"),
    )
    names = [escape(one.revision) for one in found]
    yield _figure(
        "What was answered in all, and what was spent",
        "Sums over the answers whose time is over, in virtual currency.",
        [
            go.Bar(x=names, y=[one.expected for one in found], name="answered", marker_color=_MODEL),
            go.Bar(x=names, y=[one.actual for one in found], name="spent", marker_color=_OTHER),
        ],
        axes=("revision", "virtual currency"),
    )
    judged = [one for one in found if one.spenders]
    points = go.Scatter(
        x=[escape(one.revision) for one in judged],
        y=[one.coverage_of_spenders for one in judged],
        error_y={"array": [one.chance for one in judged], "color": _OTHER},
        mode="markers",
        marker={"size": 10, "color": _MODEL},
        name="within the bounds, with 95 % of chance",
    )
    promise = go.Scatter(x=names, y=[NOMINAL_COVERAGE] * len(names), mode="lines", line={"dash": "dash"})
    promise.name = f"promised: {NOMINAL_COVERAGE:.0%}"
    yield _figure(
        "Was the interval right?",
        "Share of those who spent whose spend lay within the bounds that were answered.",
        [points, promise],
        axes=("revision", "share of spenders"),
    )


def number(value: float | str) -> str:
    """Write a value for a person: "?" is not known, and a dash no number."""
    if isinstance(value, str):
        return escape(value) or "?"
    if math.isnan(value) or math.isinf(value):
        return "?" if math.isnan(value) else "-"
    return f"{value:,.0f}" if abs(value) >= _LONG else f"{value:,.4g}"


def _figure(title: str, caption: str, traces: list[Any], *, axes: tuple[str, str], height: int = 340) -> str:
    figure = go.Figure(traces, layout=_LAYOUT | {"height": height})
    figure.update_xaxes(title=axes[0])
    figure.update_yaxes(title=axes[1], rangemode="tozero")
    html = figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True})
    return f"<figure><h3>{title}</h3>{html}<figcaption>{caption}</figcaption></figure>"
