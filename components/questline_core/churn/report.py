"""Write what the three models did as one page; everything that it needs lies in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from questline_core.churn.evaluation import Evaluation
from questline_core.churn.judging import Judged
from questline_core.churn.models import name_of
from questline_core.pages import MODEL, calibration, figure, fill, guide, page, table, tiles
from questline_core.spend.evaluation import Range
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse


def explanations(warehouse: Warehouse, judged: Judged) -> list[dict[str, Any]]:
    """Explain the champion's answers for some held-out players, from the surest to stay to the surest to leave.

    Returns:
        Rows with user_pseudo_id, churned, probability and attributions: a list of feature and attribution.
    """
    name = name_of(judged.champion, judged.version)
    return warehouse.query(sql("churn/explanations.sql").replace("churn.champion", name)).to_pylist()


def page_of(judged: Judged, explained: Sequence[Mapping[str, Any]]) -> str:
    """Give the HTML page."""
    best = judged.best
    body = fill(
        "churn/report_page.html",
        rows=f"{best.rows:,}",
        churned=f"{best.churned:,}",
        tiles=tiles(_tiles(best)),
        models=_models(judged),
        champion=judged.champion,
        base_log_loss=f"{best.base_log_loss:.3f}",
        cost_of_all=f"{best.cost_of_offers_to_all:.2f}",
        cost_of_none=f"{best.cost_of_offers_to_none:.2f}",
        missed=f"{judged.costs.missed:g}",
        treated=f"{judged.costs.treated:g}",
        bothered=f"{judged.costs.bothered:g}",
        left_alone=f"{judged.costs.left_alone:g}",
        threshold=f"{best.threshold:.0%}",
        unseen=f"{best.at_threshold.rows:,}",
        confusion=_confusion(judged),
        plots="".join(_plots(judged)),
        explanations=_explanations(explained),
    )
    return page("Churn models: evaluation", body)


def _tiles(best: Evaluation) -> Iterable[tuple[str, str]]:
    area, found = best.roc_auc, best.at_threshold
    yield f"{area.value:.2f}", f"ROC AUC ({area.low:.2f} to {area.high:.2f}): 0.5 is a coin, 1 is knowing"
    yield f"{1 - best.log_loss.value / best.base_log_loss:.0%}", "less log loss than the share of leavers for everybody"
    yield f"{found.recall:.0%}", "of those who left were said to leave"
    yield f"{found.precision:.0%}", "of those who were said to leave left"


def _models(judged: Judged) -> str:
    everyone = dict(judged.models)
    if judged.in_use and judged.in_use_evaluation:
        everyone[f"in use: {judged.in_use.kind} {judged.in_use.version}"] = judged.in_use_evaluation
    rows = (
        (
            f"<b>{escape(name)}</b>" if name == judged.champion else escape(name),
            _range(one.roc_auc),
            f"{one.pr_auc:.2f}",
            _range(one.log_loss),
            f"{one.brier:.3f}",
            f"{one.threshold:.0%}",
            f"{one.at_threshold.precision:.0%}",
            f"{one.at_threshold.recall:.0%}",
            f"{one.cost.value:.2f}",
        )
        for name, one in everyone.items()
    )
    return table(("model", "ROC AUC", "PR AUC", "log loss", "Brier", "threshold", "precision", "recall", "cost"), rows)


def _range(one: Range) -> str:
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _confusion(judged: Judged) -> str:
    found = judged.best.at_threshold
    rows = (
        ("stayed", f"{found.true_negatives:,}", f"{found.false_positives:,}"),
        ("left", f"{found.false_negatives:,}", f"{found.true_positives:,}"),
    )
    return table(("", "predicted to stay", "predicted to leave"), rows)


def _plots(judged: Judged) -> Iterable[str]:
    yield figure(
        "ROC curves",
        "Of players from the surest to leave on: how many of those who left are picked, for how many who stayed.",
        [go.Scatter(x=one.x, y=one.y, mode="lines", name=kind) for kind, one in judged.curves.items()]
        + [guide([0, 1], [0, 1], "coin")],
        axes=("share of those who stayed that is picked", "share of those who left that is picked"),
    )
    yield figure(
        f"Calibration of {judged.champion}",
        "Fifths of players by probability. On the line, 10 % means that one in ten left.",
        calibration({"fifths, with 95 % of chance": judged.calibration}),
        axes=("predicted probability", "share that left"),
    )
    top = list(judged.importance.items())[::-1]
    yield figure(
        f"What {judged.champion} looks at",
        "How far each feature moves an answer, in the mean, whichever way. In log odds: 0.4 moves 50 % to 60 %.",
        [go.Bar(x=[size for _, size in top], y=[name for name, _ in top], orientation="h", marker_color=MODEL)],
        axes=("mean move, in log odds", ""),
    )


def _explanations(explained: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in explained:
        moved = "<br>".join(f"{escape(each['feature'])} {each['attribution']:+.2f}" for each in one["attributions"])
        came = "left" if one["churned"] else "stayed"
        rows.append((escape(one["user_pseudo_id"]), f"{one['probability']:.0%}", came, moved))
    return table(("player", "probability of leaving", "what came", "moved most by"), rows, kind="text")
