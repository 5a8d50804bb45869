"""Write an evaluation as one page that a product manager can read; everything it needs lies in the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from questline_core.metrics import Curve, Floats
from questline_core.pages import MODEL, OTHER, calibration, figure, fill, guide, page, table, tiles
from questline_core.processes import write_atomically
from questline_core.spend.arrays import NOMINAL_COVERAGE, Examples, Predictions
from questline_core.spend.evaluation import Evaluation
from questline_core.spend.explain import Share

_EXPLAINED_INPUTS = 10
_LOW_TO_HIGH = [[0, "#2f6fde"], [0.5, "#c3c9d5"], [1, "#d6422f"]]


def write_report(  # noqa: PLR0913 - all that the page shows
    file: Path,
    evaluation: Evaluation,
    rows: Examples,
    predictions: Predictions,
    examples: Path,
    *,
    losses: Sequence[float],
    by_count: Sequence[tuple[int, float]],
    shares: Mapping[str, Share],
) -> None:
    """Write the page.

    Args:
        file: where to.
        evaluation: the measures.
        rows: the rows that were judged on.
        predictions: the model's answers to them.
        examples: the folder of examples.json, which tells where the rows came from.
        losses: the loss on players left out after each epoch; empty where it is not known.
        by_count: the log loss of a rival on the rows, by how many training examples it saw, the fewest first.
        shares: what each input adds to the probability at some rows, the most important input first.
    """
    origin = json.loads((examples / "examples.json").read_text(encoding="utf-8"))
    body = fill(
        "spend/report_page.html",
        horizon_hours=origin["horizon_hours"],
        tiles=tiles(_tiles(evaluation)),
        comparison=_comparison(evaluation),
        who="".join(_who(evaluation)),
        how_much="".join(_how_much(evaluation, rows, predictions)),
        where="".join(_where(evaluation)),
        why=_why(shares),
        learning=(_learning(losses) if losses else "") + (_more(evaluation, by_count) if by_count else ""),
        facts=_facts(evaluation, origin),
    )
    write_atomically(file, page("Spend model: evaluation", body))


def write_card(file: Path, evaluation: Evaluation, examples: Path, *, signature: Mapping[str, Any]) -> None:
    """Write the model card: what the model is for, what it was made of, how good it is, and what it is not for."""
    origin = json.loads((examples / "examples.json").read_text(encoding="utf-8"))
    everyone = {"model": evaluation.model, "constant": evaluation.constant}
    everyone |= {one.name: one.scores for one in evaluation.rivals}
    card = fill(
        "spend/model_card.md",
        **{name: f"{value:,}" if isinstance(value, int) else value for name, value in origin.items()},
        rows=f"{evaluation.rows:,}",
        players=f"{evaluation.players:,}",
        positives=f"{evaluation.positives:,}",
        since=_time(evaluation.first_micros),
        until=_time(evaluation.last_micros),
        nominal=f"{NOMINAL_COVERAGE:.0%}",
        coverage=f"{evaluation.interval.coverage_of_spenders:.0%}",
        inputs=", ".join(signature.get("inputs", ())),
        scores="\n".join(
            f"| {name} | {one.log_loss:.4f} | {one.roc_auc:.3f} | {one.normalized_gini:.3f} "
            f"| {one.spearman_of_spenders:.3f} | {one.total_error:+.0%} |"
            for name, one in everyone.items()
        ),
        slices="\n".join(
            f"| {one.name} | {one.rows:,} | {one.roc_auc:.3f} | {one.predicted:.2f} | {one.actual:.2f} |"
            for one in evaluation.slices
        ),
    )
    write_atomically(file, card)


def _tiles(found: Evaluation) -> Iterable[tuple[str, str]]:
    top, total = found.lift[-1], found.total_error
    share = top.actual * top.rows / sum(one.actual * one.rows for one in found.lift)
    return (
        (f"{found.roc_auc.value:.3f}", "ROC AUC: 0.5 is a coin, 1 is knowing"),
        (f"{1 - found.model.log_loss / found.constant.log_loss:.0%}", "less log loss than the base rate"),
        (f"{share:.0%}", "of all spend follows the tenth of the moments with the highest predictions"),
        (
            f"{total.value:+.0%}",
            f"predicted total against the actual one (95 %: {total.low:+.0%} to {total.high:+.0%})",
        ),
    )


def _comparison(found: Evaluation) -> str:
    """Give the table, the best of each row in green; more (1), less (-1) or zero (0) is better."""
    everyone = {"model": found.model, "constant": found.constant} | {one.name: one.scores for one in found.rivals}
    rows = []
    for name, field, sign, meaning in (
        ("Log loss", "log_loss", -1, "cost of a wrong or unsure probability"),
        ("Brier score", "brier", -1, "squared error of the probability"),
        ("ROC AUC", "roc_auc", 1, "chance that a spender is ranked above a non-spender"),
        ("PR AUC", "pr_auc", 1, "how many of those picked out do spend"),
        ("MAE", "mae", -1, "mean error of the expected spend; favours answering 0, as most spend nothing"),
        ("RMSE", "rmse", -1, "the same, large errors counting more"),
        ("RMSLE", "rmsle", -1, "the same of the logarithms: as a share and not as an amount"),
        ("Normalized Gini", "normalized_gini", 1, "how well players are ordered by their spend"),
        ("Spearman", "spearman_of_spenders", 1, "how well those who spend are ordered by how much"),
        ("Top-tenth lift", "top_decile_lift", 1, "spend of the tenth picked first, against the mean"),
        ("Error of the total", "total_error", 0, "predicted by actual total, less 1"),
    ):
        scores = [getattr(one, field) for one in everyone.values()]
        merits = [sign * one if sign else -abs(one) for one in scores]
        cells = (
            f"<b class=good>{one:.4f}</b>" if merit == max(merits) else f"{one:.4f}"
            for one, merit in zip(scores, merits, strict=True)
        )
        rows.append((name, meaning, *cells))
    return table(("measure", "what it tells", *map(escape, everyone)), rows, kind="told")


def _where(found: Evaluation) -> Iterable[str]:
    """Draw the slices and the inputs that matter."""
    slices = found.slices[::-1]
    names = [f"{one.name} ({one.rows:,})" for one in slices]
    yield figure(
        "Parts of the players",
        "Mean spend of each part that is large enough to be judged. Blue and grey should be alike.",
        [
            go.Bar(y=names, x=[one.predicted for one in slices], name="predicted", marker_color=MODEL, orientation="h"),
            go.Bar(y=names, x=[one.actual for one in slices], name="actual", marker_color=OTHER, orientation="h"),
        ],
        axes=("mean spend, virtual currency", ""),
        wide=True,
    )
    top = list(found.importance.items())[:12][::-1]
    yield figure(
        "What the model looks at",
        "How much worse the probability gets when one input is shuffled among the players.",
        [go.Bar(y=[name for name, _ in top], x=[rise for _, rise in top], marker_color=MODEL, orientation="h")],
        axes=("rise of the log loss", ""),
        wide=True,
    )


def _why(shares: Mapping[str, Share]) -> str:
    """Draw a point for each of the first inputs at each explained moment."""
    top, spread = list(shares.items())[:_EXPLAINED_INPUTS][::-1], np.random.default_rng(0)
    traces = [
        go.Scatter(
            x=100 * one.adds,
            y=line + spread.uniform(-0.3, 0.3, len(one.adds)),
            mode="markers",
            marker={"size": 5, "opacity": 0.7, "color": one.rank, "cmin": 0, "cmax": 1, "colorscale": _LOW_TO_HIGH},
            name=name,
            showlegend=False,
        )
        for line, (name, one) in enumerate(top, 1)
    ]
    return figure(
        "Why this chance?",
        "Percentage points that an input adds to the chance of a spend (Shapley values), at moments spread over all "
        "predictions. Red: the input's value is high there, blue: it is low, grey: it is a text or not known.",
        traces,
        axes=("percentage points", ""),
        wide=True,
        height=40 * len(top) + 80,
        xaxis_rangemode="normal",
        yaxis={"rangemode": "normal", "tickvals": list(range(1, len(top) + 1)), "ticktext": [name for name, _ in top]},
    )


def _learning(losses: Sequence[float]) -> str:
    epochs = list(range(1, len(losses) + 1))
    return figure(
        "Learning",
        "Loss on players left out, after each pass over the examples; the lowest point is what is kept.",
        [go.Scatter(x=epochs, y=losses, mode="lines+markers", line={"color": MODEL}, name="loss")],
        axes=("pass", "loss"),
        yaxis_rangemode="normal",
    )


def _more(found: Evaluation, by_count: Sequence[tuple[int, float]]) -> str:
    counts, losses = [count for count, _ in by_count], [loss for _, loss in by_count]
    return figure(
        "Would more examples help?",
        "Log loss of the trees on our features, when they see a ninth, a third and all of the training examples. If "
        "the line still falls at its end, more players or days would help.",
        [
            go.Scatter(x=counts, y=losses, mode="lines+markers", line={"color": OTHER}, name="trees on our features"),
            go.Scatter(x=counts[-1:], y=[found.model.log_loss], mode="markers", marker_color=MODEL, name="model"),
        ],
        axes=("training examples", "log loss"),
        xaxis={"type": "log", "tickvals": counts, "ticktext": [f"{one:,}" for one in counts]},
        yaxis_rangemode="normal",
    )


def _who(found: Evaluation) -> Iterable[str]:
    base = found.positives / found.rows
    yield figure(
        "ROC curve",
        f"Area {found.roc_auc.value:.3f}, 95 % interval {found.roc_auc.low:.3f} to {found.roc_auc.high:.3f}.",
        [_line(found.roc, "model"), guide([0, 1], [0, 1], "coin")],
        axes=("share of non-spenders picked", "share of spenders picked"),
    )
    yield figure(
        "Precision and recall",
        f"Of everybody, {base:.1%} spend; the curve shows how much richer a pick is.",
        [_line(found.pr, "model"), guide([0, 1], [base, base], "everybody")],
        axes=("share of spenders picked", "share of the picked who spend"),
    )
    yield figure(
        "Is a probability what it says?",
        "Tenths of the moments by predicted probability. On the line, 10 % means that one in ten spends.",
        calibration({"tenths, with 95 % of chance": found.calibration}),
        axes=("predicted probability", "share that spent"),
        wide=True,
    )


def _how_much(found: Evaluation, rows: Examples, predictions: Predictions) -> Iterable[str]:
    tenths = [str(number) for number in range(1, len(found.lift) + 1)]
    yield figure(
        "Predicted and actual spend by tenth",
        "Tenths of the moments by expected spend, the lowest first.",
        [
            go.Bar(x=tenths, y=[one.predicted for one in found.lift], name="predicted", marker_color=MODEL),
            go.Bar(x=tenths, y=[one.actual for one in found.lift], name="actual", marker_color=OTHER),
        ],
        axes=("tenth", "mean spend, virtual currency"),
    )
    spent = rows.spend[rows.spend > 0]
    given = predictions.value[rows.spend > 0] / predictions.probability[rows.spend > 0]
    yield figure(
        "Amounts of those who spend",
        "How many spend so much or less: the line of what is predicted (if there is spend) is steeper, as it is an "
        f"average. {found.interval.coverage_of_spenders:.0%} spend an amount within the bounds (promised: "
        f"{NOMINAL_COVERAGE:.0%}); of everybody {found.interval.coverage:.1%}.",
        [_share_up_to(spent, "actual", OTHER), _share_up_to(given, "predicted", MODEL)],
        axes=("spend, virtual currency", "share of those who spend"),
        xaxis={"type": "log", "tickvals": [one * 10**power for power in range(-2, 7) for one in (1, 2, 5)]},
    )


def _share_up_to(amounts: Floats, name: str, color: str) -> Any:
    """Draw at a hundred places which share of the amounts is no higher."""
    shares = np.linspace(0, 1, 101)
    line = {"color": color, "width": 2.5, "shape": "hv"}
    return go.Scatter(x=np.quantile(amounts, shares), y=shares, mode="lines", line=line, name=name)


def _facts(found: Evaluation, origin: Mapping[str, Any]) -> str:
    facts = {
        "Data version": origin["data_version"],
        "Trained on": f"{origin['train']:,} examples, {origin['train_positives']:,} of them with spend",
        "Judged on": f"{found.rows:,} examples of {found.players:,} players, {found.positives:,} of them with spend",
        "Judged moments": f"{_time(found.first_micros)} to {_time(found.last_micros)}",
        "Between the two": f"{origin['horizon_hours']} h left out, so that no label lies in both",
        "Rows judged": found.rows_digest,
    }
    return table((), ((name, escape(str(value))) for name, value in facts.items()), kind="text")


def _line(curve: Curve, name: str) -> Any:
    return go.Scatter(x=curve.x, y=curve.y, mode="lines", line={"color": MODEL, "width": 2.5}, name=name)


def _time(micros: int) -> str:
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
