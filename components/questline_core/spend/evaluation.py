"""Judge a spend model on later days than it was fitted to, against the best constant answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from questline_core.errors import BadInput
from questline_core.processes import write_atomically
from questline_core.spend import metrics
from questline_core.spend.arrays import Examples, Floats, read_examples
from questline_core.spend.metrics import Bin, Curve

NOMINAL_COVERAGE = 0.9
"""Share of spends that the model promises to lie within its bounds, at least."""

_RANGES = ("log_loss_gain", "roc_auc", "normalized_gini", "rmse_gain", "total_error")
_RESAMPLES = 500
_SEED = 20_180_612  # every evaluation draws the same players, so that two models are compared draw by draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well one answer to every row did. The first four judge the probability, the others the expected value."""

    log_loss: float
    brier: float
    roc_auc: float
    pr_auc: float
    mae: float
    rmse: float
    normalized_gini: float
    total_error: float
    """Predicted by actual total, less 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A measure with its 95 % bootstrap interval, players drawn with replacement."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """How the model's bounds did."""

    coverage: float
    """Share of rows whose spend lies within the bounds."""
    coverage_of_spenders: float
    """The same of the rows with spend."""
    mean_width: float
    """In virtual currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a model did on the rows that were held out, and what a constant did there."""

    rows: int
    positives: int
    """Rows with spend."""
    players: int
    rows_digest: str
    """Names the rows: two evaluations can be compared when it is the same."""
    first_micros: int
    last_micros: int
    """Moments of the first and the last row, microseconds since 1970-01-01 UTC."""
    model: Scores
    constant: Scores
    """The base rate and the mean spend of the training rows, for everybody."""
    log_loss_gain: Range
    """The constant's log loss less the model's."""
    roc_auc: Range
    normalized_gini: Range
    rmse_gain: Range
    """The constant's RMSE less the model's."""
    total_error: Range
    interval: Interval
    calibration: tuple[Bin, ...]
    """Tenths of the rows by probability: probability and share with spend."""
    lift: tuple[Bin, ...]
    """Tenths of the rows by expected value: expected value and spend."""
    roc: Curve
    pr: Curve
    log_loss_draws: tuple[float, ...]
    """The model's log loss on each bootstrap draw of the players."""

    def to_json(self) -> str:
        """Write the evaluation as metrics.json has it."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            BadInput: the text is something else.
        """
        try:
            facts = json.loads(text)
            nested: dict[str, Any] = {
                "model": Scores(**facts["model"]),
                "constant": Scores(**facts["constant"]),
                **{name: Range(**facts[name]) for name in _RANGES},
                "interval": Interval(**facts["interval"]),
                "calibration": tuple(Bin(**one) for one in facts["calibration"]),
                "lift": tuple(Bin(**one) for one in facts["lift"]),
                "roc": _curve(facts["roc"]),
                "pr": _curve(facts["pr"]),
                "log_loss_draws": tuple(facts["log_loss_draws"]),
            }
            return cls(**(facts | nested))
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"this is no evaluation of a spend model ({error!r}); evaluate the model again") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """A model's answers to the rows, as its signature gives them."""

    value: Floats
    lower_bound: Floats
    upper_bound: Floats
    probability: Floats


def evaluate(model: Path, examples: Path, report: Path) -> Evaluation:
    """Judge a model on eval.parquet and write metrics.json and report.html.

    Args:
        model: the folder of saved_model/, of a training or of a published version.
        examples: the folder of train.parquet (for the constant), eval.parquet and examples.json.
        report: the folder to write.

    Raises:
        BadInput: the examples or the model cannot be read.
    """
    from questline_core.spend.report import write_report  # noqa: PLC0415 - the gate needs no plots
    from questline_core.spend.saved import ask  # noqa: PLC0415 - nor TensorFlow

    rows, learned = read_examples(examples / "eval.parquet"), read_examples(examples / "train.parquet")
    if not 0 < (rows.spend > 0).sum() < len(rows):
        raise BadInput(f"{examples / 'eval.parquet'} needs rows with spend and rows without; extract more examples")
    predictions = ask(model, rows)
    evaluation = measure(rows, predictions, constant_answer(learned, len(rows)))
    report.mkdir(parents=True, exist_ok=True)
    write_atomically(report / "metrics.json", evaluation.to_json())
    write_report(report / "report.html", evaluation, rows, predictions, examples)
    return evaluation


def constant_answer(learned: Examples, rows: int) -> Predictions:
    """Answer every row with the base rate and the mean spend of the training rows."""
    base_rate, mean = float((learned.spend > 0).mean()), float(learned.spend.mean())
    low, high = np.quantile(learned.spend, [0.05, 0.95])
    value, lower, upper, probability = (np.full(rows, one) for one in (mean, low, high, base_rate))
    return Predictions(value=value, lower_bound=lower, upper_bound=upper, probability=probability)


def measure(rows: Examples, model: Predictions, constant: Predictions) -> Evaluation:
    """Compare two sets of answers with what came."""
    positive = (rows.spend > 0).astype(np.float64)
    draws = _bootstrap(rows, positive, model, constant)
    scores, base = _scores(rows.spend, positive, model), _scores(rows.spend, positive, constant)
    return Evaluation(
        rows=len(rows),
        positives=int(positive.sum()),
        players=len(np.unique(rows.players.astype(str))),
        rows_digest=_digest(rows),
        first_micros=int(rows.at_micros.min()),
        last_micros=int(rows.at_micros.max()),
        model=scores,
        constant=base,
        log_loss_gain=_range(base.log_loss - scores.log_loss, draws["log_loss_gain"]),
        roc_auc=_range(scores.roc_auc, draws["roc_auc"]),
        normalized_gini=_range(scores.normalized_gini, draws["normalized_gini"]),
        rmse_gain=_range(base.rmse - scores.rmse, draws["rmse_gain"]),
        total_error=_range(scores.total_error, draws["total_error"]),
        interval=_interval(rows.spend, model),
        calibration=metrics.bins(positive, model.probability),
        lift=metrics.bins(rows.spend, model.value),
        roc=metrics.roc_curve(positive, model.probability),
        pr=metrics.pr_curve(positive, model.probability),
        log_loss_draws=tuple(draws["log_loss"].tolist()),
    )


def _scores(spend: Floats, positive: Floats, answers: Predictions) -> Scores:
    return Scores(
        log_loss=float(metrics.losses(positive, answers.probability).mean()),
        brier=metrics.brier(positive, answers.probability),
        roc_auc=metrics.roc_auc(positive, answers.probability),
        pr_auc=metrics.pr_auc(positive, answers.probability),
        mae=metrics.mae(spend, answers.value),
        rmse=metrics.rmse(spend, answers.value),
        normalized_gini=metrics.normalized_gini(spend, answers.value),
        total_error=metrics.total_error(spend, answers.value),
    )


def _bootstrap(rows: Examples, positive: Floats, model: Predictions, constant: Predictions) -> dict[str, Floats]:
    """Draw players with replacement and measure each draw."""
    names, player = np.unique(rows.players.astype(str), return_inverse=True)
    loss, other = metrics.losses(positive, model.probability), metrics.losses(positive, constant.probability)
    random, every = np.random.default_rng(_SEED), np.arange(len(rows))
    found: dict[str, list[float]] = {}
    for _ in range(_RESAMPLES):
        times = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        drawn = np.repeat(every, times[player])
        if not 0 < positive[drawn].sum() < len(drawn):
            continue  # no ranking and no total can be judged on such a draw
        spend, value = rows.spend[drawn], model.value[drawn]
        for name, measured in (
            ("log_loss", float(loss[drawn].mean())),
            ("log_loss_gain", float(other[drawn].mean() - loss[drawn].mean())),
            ("roc_auc", metrics.roc_auc(positive[drawn], model.probability[drawn])),
            ("normalized_gini", metrics.normalized_gini(spend, value)),
            ("rmse_gain", metrics.rmse(spend, constant.value[drawn]) - metrics.rmse(spend, value)),
            ("total_error", metrics.total_error(spend, value)),
        ):
            found.setdefault(name, []).append(measured)
    return {name: np.array(measured) for name, measured in found.items()}


def _range(value: float, draws: Floats) -> Range:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Range(value=value, low=float(low), high=float(high))


def _interval(spend: Floats, answers: Predictions) -> Interval:
    inside = (answers.lower_bound <= spend) & (spend <= answers.upper_bound)
    return Interval(
        coverage=float(inside.mean()),
        coverage_of_spenders=float(inside[spend > 0].mean()),
        mean_width=float((answers.upper_bound - answers.lower_bound).mean()),
    )


def _digest(rows: Examples) -> str:
    digest = hashlib.sha256("\n".join(rows.players).encode())
    digest.update(rows.at_micros.tobytes() + rows.spend.tobytes())
    return digest.hexdigest()[:16]


def _curve(facts: dict[str, Any]) -> Curve:
    return Curve(x=tuple(facts["x"]), y=tuple(facts["y"]))
