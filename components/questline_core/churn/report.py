"""Write what the three models did as one page; everything that it needs lies in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from questline_core.churn.judging import Judged
from questline_core.churn.models import name_of
from questline_core.spend.evaluation import Range
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

_LAYOUT = {"template": "plotly_white", "height": 340, "margin": {"l": 56, "r": 16, "t": 12, "b": 48}}


def explanations(warehouse: Warehouse, judged: Judged) -> list[dict[str, Any]]:
    """Explain the champion's answers for some held-out players, from the surest to stay to the surest to leave.

    Returns:
        Rows with user_pseudo_id, churned, probability and attributions: a list of feature and attribution.
    """
    name = name_of(judged.champion, judged.version)
    return warehouse.query(sql("churn/explanations.sql").replace("churn.champion", name)).to_pylist()


def page(judged: Judged, explained: Sequence[Mapping[str, Any]]) -> str:
    """Give the HTML page."""
    best = judged.best
    template = Template((files("questline_core.churn") / "report_page.html").read_text(encoding="utf-8"))
    return template.substitute(
        plotly=get_plotlyjs(),
        rows=f"{best.rows:,}",
        churned=f"{best.churned:,}",
        models="".join(_models(judged)),
        champion=judged.champion,
        base_log_loss=f"{best.base_log_loss:.4f}",
        cost_of_all=f"{best.cost_of_offers_to_all:.3f}",
        cost_of_none=f"{best.cost_of_offers_to_none:.3f}",
        threshold=f"{best.threshold:.3f}",
        confusion="".join(_confusion(judged)),
        plots="".join(_plots(judged)),
        explanations="".join(_explanations(explained)),
    )


def _row(cells: Iterable[str], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _models(judged: Judged) -> Iterable[str]:
    yield _row(("model", "ROC AUC", "PR AUC", "log loss", "Brier", "threshold", "precision", "recall", "cost"), "th")
    everyone = dict(judged.models)
    if judged.in_use and judged.in_use_evaluation:
        everyone[f"in use: {judged.in_use.kind} {judged.in_use.version}"] = judged.in_use_evaluation
    for name, one in everyone.items():
        yield _row(
            (
                f"<b>{escape(name)}</b>" if name == judged.champion else escape(name),
                _range(one.roc_auc),
                f"{one.pr_auc:.3f}",
                _range(one.log_loss),
                f"{one.brier:.4f}",
                f"{one.threshold:.3f}",
                f"{one.at_threshold.precision:.1%}",
                f"{one.at_threshold.recall:.1%}",
                _range(one.cost),
            )
        )


def _range(one: Range) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def _confusion(judged: Judged) -> Iterable[str]:
    found = judged.best.at_threshold
    yield _row(("", "predicted to stay", "predicted to leave"), "th")
    yield _row(("stayed", f"{found.true_negatives:,}", f"{found.false_positives:,}"))
    yield _row(("left", f"{found.false_negatives:,}", f"{found.true_positives:,}"))


def _plots(judged: Judged) -> Iterable[str]:
    yield _figure(
        "ROC curves",
        [go.Scatter(x=one.x, y=one.y, mode="lines", name=kind) for kind, one in judged.curves.items()]
        + [_guide(1.0, "coin")],
        axes=("share of those who stayed that is picked", "share of those who left that is picked"),
    )
    bins = judged.calibration
    most = max(max(one.predicted, one.actual) for one in bins)
    points = go.Scatter(
        x=[one.predicted for one in bins],
        y=[one.actual for one in bins],
        mode="markers+lines",
        name="fifths of players",
    )
    yield _figure(
        f"Calibration of {judged.champion}", [points, _guide(most, "exact")], axes=("predicted", "share that left")
    )
    top = list(judged.importance.items())[::-1]
    yield _figure(
        f"What {judged.champion} looks at",
        [go.Bar(x=[size for _, size in top], y=[name for name, _ in top], orientation="h")],
        axes=("mean size of the attribution", ""),
    )


def _guide(most: float, name: str) -> Any:
    return go.Scatter(x=[0, most], y=[0, most], mode="lines", line={"dash": "dash", "color": "#9aa3b5"}, name=name)


def _figure(title: str, traces: list[Any], *, axes: tuple[str, str]) -> str:
    figure = go.Figure(traces, layout=_LAYOUT)
    figure.update_xaxes(title=axes[0])
    figure.update_yaxes(title=axes[1])
    html = figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False, "responsive": True})
    return f"<figure><h3>{title}</h3>{html}</figure>"


def _explanations(explained: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield _row(("player", "what came", "probability of leaving", "moved most by"), "th")
    for one in explained:
        moved = ", ".join(f"{each['feature']} {each['attribution']:+.2f}" for each in one["attributions"])
        came = "left" if one["churned"] else "stayed"
        yield _row((escape(one["user_pseudo_id"]), came, f"{one['probability']:.1%}", escape(moved)))
