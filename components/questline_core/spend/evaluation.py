"""Judge a spend model on later days than it was fitted to, against its rivals and within slices."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from questline_core import metrics
from questline_core.errors import BadInput
from questline_core.metrics import Bin, Curve, Floats
from questline_core.processes import write_atomically
from questline_core.spend.arrays import Examples, Predictions, read_examples

_RANGES = ("log_loss_gain", "roc_auc", "normalized_gini", "rmse_gain", "total_error")
LEAST_SLICE_ROWS, LEAST_SLICE_POSITIVES = 300, 20
"""Smaller parts of the rows are not judged."""
_MOST_PARTS = 4  # systems and countries, the most usual ones
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
    rmsle: float
    normalized_gini: float
    spearman_of_spenders: float
    top_decile_lift: float
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
class Rival:
    """What a rival did on the same rows."""

    name: str
    scores: Scores
    log_loss_gain: Range
    """The rival's log loss less the model's, players drawn in pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What the model did on a part of the rows that is large enough to be judged."""

    name: str
    rows: int
    positives: int
    log_loss: float
    roc_auc: float
    predicted: float
    """Mean expected spend."""
    actual: float
    """Mean spend."""
    log_loss_gain: Range
    """The constant's log loss less the model's."""


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
    roc_thresholds: tuple[float, ...]
    """The probability that each point of the curve picks from."""
    confusion: tuple[tuple[int, int], tuple[int, int]]
    """Rows without and with spend: how many were not picked and were, when as many are picked as spend."""
    pr: Curve
    rivals: tuple[Rival, ...]
    """Those other than the constant, fitted to the same training rows."""
    slices: tuple[Slice, ...]
    """By system, country, past spend, and whether training knew the player."""
    importance: Mapping[str, float]
    """By input: how much the log loss rises when its values are shuffled among the rows."""
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
                "roc_thresholds": tuple(facts["roc_thresholds"]),
                "confusion": tuple(tuple(row) for row in facts["confusion"]),
                "pr": _curve(facts["pr"]),
                "rivals": tuple(_rival(one) for one in facts["rivals"]),
                "slices": tuple(
                    Slice(**one | {"log_loss_gain": Range(**one["log_loss_gain"])}) for one in facts["slices"]
                ),
                "log_loss_draws": tuple(facts["log_loss_draws"]),
            }
            return cls(**(facts | nested))
        except (ValueError, TypeError, KeyError) as error:
            raise BadInput(f"this is no evaluation of a spend model ({error!r}); evaluate the model again") from None


def evaluate(model: Path, examples: Path, report: Path) -> Evaluation:
    """Judge a model on eval.parquet and write metrics.json, report.html and model_card.md.

    Args:
        model: the folder of saved_model/, of a training or of a published version.
        examples: the folder of train.parquet (for the constant), eval.parquet and examples.json.
        report: the folder to write.

    Raises:
        BadInput: the examples or the model cannot be read.
    """
    from questline_core.spend.explain import permutation_importance, shares  # noqa: PLC0415 - as below
    from questline_core.spend.report import write_card, write_report  # noqa: PLC0415 - the gate needs no plots
    from questline_core.spend.rivals import constant, learning_curve, rivals  # noqa: PLC0415 - nor XGBoost
    from questline_core.spend.saved import opened  # noqa: PLC0415 - nor TensorFlow

    rows, learned = (read_examples(examples / f"{name}.parquet") for name in ("eval", "train"))
    if not 0 < (rows.spend > 0).sum() < len(rows):
        raise BadInput(f"{examples / 'eval.parquet'} needs rows with spend and rows without; extract more examples")
    asked = opened(model)
    predictions = asked(rows)
    evaluation = measure(
        rows,
        predictions,
        constant(learned, rows),
        rivals=rivals(learned, rows),
        known=frozenset(learned.players),
        importance=permutation_importance(asked, rows),
    )
    report.mkdir(parents=True, exist_ok=True)
    write_atomically(report / "metrics.json", evaluation.to_json())
    training = _training(model)
    write_report(
        report / "report.html",
        evaluation,
        rows,
        predictions,
        examples,
        losses=training.get("unseen_loss_by_epoch", ()),
        by_count=learning_curve(learned, rows),
        shares=shares(asked, rows),
    )
    write_card(report / "model_card.md", evaluation, examples, signature=training.get("signature", {}))
    return evaluation


def _training(model: Path) -> dict[str, Any]:
    """Read what is told of the training, by the training itself or by the published version."""
    for name in ("training.json", "model.json"):
        if (model / name).exists():
            facts: dict[str, Any] = json.loads((model / name).read_text(encoding="utf-8"))
            return facts | dict(facts.get("lineage", {}))
    return {}


def measure(  # noqa: PLR0913 - each is one thing that the answers are compared with
    rows: Examples,
    model: Predictions,
    constant: Predictions,
    *,
    rivals: Mapping[str, Predictions] | None = None,
    known: frozenset[str] = frozenset(),
    importance: Mapping[str, float] | None = None,
) -> Evaluation:
    """Compare answers with what came, and with those of rivals.

    Args:
        rows: what was asked, and what came.
        model: the model's answers.
        constant: the answers that a constant gives.
        rivals: the answers of others, by name.
        known: players that training knew.
        importance: what `permutation_importance` found.
    """
    positive = (rows.spend > 0).astype(np.float64)
    draws = _bootstrap(rows, positive, model, constant)
    own, base = scores(rows.spend, model), scores(rows.spend, constant)
    return Evaluation(
        rows=len(rows),
        positives=int(positive.sum()),
        players=len(np.unique(rows.players.astype(str))),
        rows_digest=_digest(rows),
        first_micros=int(rows.at_micros.min()),
        last_micros=int(rows.at_micros.max()),
        model=own,
        constant=base,
        log_loss_gain=_range(base.log_loss - own.log_loss, draws["log_loss_gain"]),
        roc_auc=_range(own.roc_auc, draws["roc_auc"]),
        normalized_gini=_range(own.normalized_gini, draws["normalized_gini"]),
        rmse_gain=_range(base.rmse - own.rmse, draws["rmse_gain"]),
        total_error=_range(own.total_error, draws["total_error"]),
        interval=_interval(rows.spend, model),
        calibration=metrics.bins(positive, model.probability),
        lift=metrics.bins(rows.spend, model.value),
        roc=metrics.roc_curve(positive, model.probability),
        roc_thresholds=metrics.roc_thresholds(model.probability),
        confusion=metrics.confusion(positive, model.probability),
        pr=metrics.pr_curve(positive, model.probability),
        rivals=tuple(_against(name, rows, model, other) for name, other in (rivals or {}).items()),
        slices=tuple(_slices(rows, positive, model, constant, known)),
        importance=dict(importance or {}),
        log_loss_draws=tuple(draws["log_loss"].tolist()),
    )


def scores(spend: Floats, answers: Predictions) -> Scores:
    """Score answers to rows against the spend that came."""
    positive = (spend > 0).astype(np.float64)
    return Scores(
        log_loss=float(metrics.losses(positive, answers.probability).mean()),
        brier=metrics.brier(positive, answers.probability),
        roc_auc=metrics.roc_auc(positive, answers.probability),
        pr_auc=metrics.pr_auc(positive, answers.probability),
        mae=metrics.mae(spend, answers.value),
        rmse=metrics.rmse(spend, answers.value),
        rmsle=metrics.rmsle(spend, answers.value),
        normalized_gini=metrics.normalized_gini(spend, answers.value),
        spearman_of_spenders=metrics.spearman_of_spenders(spend, answers.value),
        top_decile_lift=metrics.top_decile_lift(spend, answers.value),
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


def _against(name: str, rows: Examples, model: Predictions, other: Predictions) -> Rival:
    return Rival(name=name, scores=scores(rows.spend, other), log_loss_gain=_gain(rows, model, other))


def _gain(rows: Examples, model: Predictions, other: Predictions) -> Range:
    """Give how much lower the model's log loss is than another's, players drawn in pairs."""
    positive = (rows.spend > 0).astype(np.float64)
    gain = metrics.losses(positive, other.probability) - metrics.losses(positive, model.probability)
    _, player = np.unique(rows.players.astype(str), return_inverse=True)
    sums, counts = np.bincount(player, gain), np.bincount(player)
    random = np.random.default_rng(_SEED)
    drawn = (random.integers(0, len(sums), len(sums)) for _ in range(_RESAMPLES))
    return _range(float(gain.mean()), np.array([sums[draw].sum() / counts[draw].sum() for draw in drawn]))


def _slices(
    rows: Examples, positive: Floats, model: Predictions, constant: Predictions, known: frozenset[str]
) -> Iterator[Slice]:
    """Judge each part of the rows that is large enough."""
    for name, chosen in _parts(rows, known):
        if chosen.sum() < LEAST_SLICE_ROWS or positive[chosen].sum() < LEAST_SLICE_POSITIVES:
            continue
        part, answers, other = rows.take(chosen), model.take(chosen), constant.take(chosen)
        yield Slice(
            name=name,
            rows=len(part),
            positives=int(positive[chosen].sum()),
            log_loss=float(metrics.losses(positive[chosen], answers.probability).mean()),
            roc_auc=metrics.roc_auc(positive[chosen], answers.probability),
            predicted=float(answers.value.mean()),
            actual=float(part.spend.mean()),
            log_loss_gain=_gain(part, answers, other),
        )


def _parts(rows: Examples, known: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Name the parts: players that training knew or did not, who spent before or never, systems and countries."""
    if known:
        familiar = np.array([player in known for player in rows.players])
        yield from (("players of the training", familiar), ("players unknown to the training", ~familiar))
    if not rows.inputs:
        return
    spent = np.nan_to_num(rows.inputs["spends"].astype(np.float64)) > 0
    yield from (("who spent before", spent), ("who never spent", ~spent))
    for name in ("operating_system", "country"):
        words, counts = np.unique(rows.inputs[name].astype(str), return_counts=True)
        for word in words[np.argsort(-counts, kind="stable")][:_MOST_PARTS]:
            yield f"{name.replace('_', ' ')} {word or 'not known'}", rows.inputs[name] == word


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


def _rival(facts: dict[str, Any]) -> Rival:
    return Rival(name=facts["name"], scores=Scores(**facts["scores"]), log_loss_gain=Range(**facts["log_loss_gain"]))
