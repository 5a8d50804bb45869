"""Train the spend model from Parquet and save it with everything that serving and publishing need to know of it."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS, missing_inputs
from questline_core.models.store import FAST
from questline_core.processes import write_atomically
from questline_core.spend.arrays import NOMINAL_COVERAGE, Examples, Floats, read_examples
from questline_core.spend.fast import write_fast
from questline_core.spend.metrics import losses
from questline_core.spend.network import (
    MEMBERS,
    OUTPUTS,
    Preprocessing,
    SpendModel,
    for_serving,
    make_network,
    signature_specs,
    tensors,
)
from questline_core.spend.search import USUAL, Settings

_LOWER = 0.1
_LATE = 0.15  # the latest share of the examples: it tells when to stop, and how much to widen the interval
_UNKNOWN_PLAYERS = 0.1  # copies without a past, so that there is an answer for a player of whom nothing is known
_FROM_THE_EVENT = {"days_since_install", "local_hour"}
_PATIENCE = 4  # epochs
_GOLDEN = 20
_STEPS = 101  # quantiles of actual by predicted amount
_FEWEST_LATE = 30  # with fewer late spends, their ratios say less than those of all examples


def train(examples: Path, model: Path, *, epochs: int, seed: int, settings: Settings = USUAL) -> None:
    """Fit the spend model and write saved_model/, training.json, golden.json and model.onnx.

    Two heads share one small network: the propensity (logistic loss over all examples as they are: rare spend needs no
    weights, which would have to be undone), and the amount if there is one (gamma loss over the examples with spend: a
    mean on a logarithmic scale). The expected value is their product. The interval lies between two quantiles of that
    distribution, whose spread is measured on the latest examples (split conformal).

    The network is fitted twice: to all but the latest examples, which tell when to stop and how far answers are off;
    then to all examples, for as many passes. The latest ones are most like what is to come.

    Args:
        examples: the folder of train.parquet.
        model: the folder to write; what an earlier training wrote there is replaced.
        epochs: passes over the examples at most; training stops when the latest examples are predicted worse.
        seed: the same examples and the same seed give the same model.
        settings: of the network.

    Raises:
        BadInput: the examples cannot be read, none has spend, or the folder cannot be written.
    """
    data = read_examples(examples / "train.parquet")
    cut = int(len(data) * (1 - _LATE))
    fit, late = data.take(slice(None, cut)), data.take(slice(cut, None))
    if not (fit.spend > 0).any():
        raise BadInput(f"no example in {examples} has any spend, so there is nothing to learn; extract more")
    tf.config.experimental.enable_op_determinism()
    tried, by_epoch = _fit(fit, settings, epochs=epochs, seed=seed, late=late)
    fitted, _ = _fit(data, settings, epochs=1 + int(np.argmin(by_epoch)), seed=seed)
    _set_level(tried, fit)
    _set_level(fitted, data)
    _set_interval(fitted, *((tried, late) if (late.spend > 0).sum() >= _FEWEST_LATE else (fitted, data)))
    _save(fitted, model / "saved_model")
    golden = _golden(fitted, data)
    write_atomically(model / "golden.json", json.dumps(golden, indent=1, allow_nan=False))
    write_fast(fitted, model / FAST, golden)
    facts = {
        "signature": {
            "inputs": dict.fromkeys(NUMBERS, "FP32") | dict.fromkeys(TEXTS, "BYTES"),
            "outputs": dict.fromkeys(OUTPUTS, "FP32"),
        },
        "rows": len(data),
        "rows_with_spend": int((data.spend > 0).sum()),
        "seed": seed,
        "params": {"epochs": epochs, "nominal_coverage": NOMINAL_COVERAGE, "upper_level": float(fitted.upper)}
        | asdict(settings),
        "late_loss": _loss(tried, late),
        "late_loss_by_epoch": by_epoch,
    }
    write_atomically(model / "training.json", json.dumps(facts, indent=2))


def _fit(
    fit: Examples, settings: Settings, *, epochs: int, seed: int, late: Examples | None = None
) -> tuple[SpendModel, list[float]]:
    """Fit the network; with late examples, as long as they are predicted better.

    Returns:
        the model, and the loss on the late examples after each epoch.
    """
    tf.keras.utils.set_random_seed(seed)
    preprocessing = Preprocessing(fit)
    scale = float(fit.spend[fit.spend > 0].mean())
    shown = _with_unknown_players(fit, seed)
    matrix = _matrix(preprocessing, shown)
    network = make_network(matrix.shape[1], settings, base_rate=float((fit.spend > 0).mean()), dtype="float32")
    network.compile(
        optimizer=tf.keras.optimizers.Adam(settings.learning_rate),
        loss=[tf.keras.losses.BinaryCrossentropy(from_logits=True), _gamma_loss],
    )
    history = network.fit(
        matrix,
        _targets(shown, scale),
        validation_data=late and (_matrix(preprocessing, late), _targets(late, scale)),
        batch_size=min(max(len(shown) // 100, 64), 1024),
        epochs=epochs,
        verbose=0,
        callbacks=late and [tf.keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)],
    )
    fitted = SpendModel(preprocessing, for_serving(network, settings), scale=scale)
    return fitted, [float(loss) for loss in history.history.get("val_loss", ())]


def _targets(examples: Examples, scale: float) -> list[Floats]:
    columns = (examples.spend > 0).astype(np.float64), examples.spend / scale
    return [np.repeat(column[:, None], MEMBERS, axis=1) for column in columns]


def _gamma_loss(spend: Any, log_amount: Any) -> Any:
    """Score the amount where there is one: least at the mean, whatever the shape of the distribution."""
    spend = tf.cast(spend, log_amount.dtype)
    return tf.where(spend > 0, log_amount + spend * tf.exp(-log_amount), tf.zeros_like(log_amount))


def _loss(fitted: SpendModel, late: Examples) -> float:
    """Score both heads on the latest examples as training does, but without what decay adds, to compare settings by."""
    probability, amount = _heads(fitted, late)
    spent, ratio = late.spend > 0, late.spend / amount
    log_loss = losses(spent.astype(np.float64), probability)
    return float((log_loss + np.where(spent, np.log(amount) + ratio, 0)).mean())


def _matrix(preprocessing: Preprocessing, examples: Examples) -> Floats:
    matrix: Floats = preprocessing(tensors(examples.inputs)).numpy()
    return matrix


def _with_unknown_players(examples: Examples, seed: int) -> Examples:
    """Add copies of some examples in which nothing of the player's past is known."""
    chosen = np.random.default_rng(seed).random(len(examples)) < _UNKNOWN_PLAYERS
    copies = examples.take(chosen)
    past = [name for name in NUMBERS if name not in _FROM_THE_EVENT]
    blank = dict(copies.inputs) | {name: np.full(len(copies), math.nan) for name in past}
    return Examples(
        inputs={name: np.concatenate([examples.inputs[name], blank[name]]) for name in examples.inputs},
        spend=np.concatenate([examples.spend, copies.spend]),
        players=np.concatenate([examples.players, copies.players]),
        at_micros=np.concatenate([examples.at_micros, copies.at_micros]),
    )


def _set_level(fitted: SpendModel, data: Examples) -> None:
    """Make the predictions of all examples add up to what came; dropout and an early stop leave them a little off."""
    probability, amount = _heads(fitted, data)
    logit, spent = np.log(probability / (1 - probability)), data.spend > 0
    shift = 0.0
    for _ in range(20):  # Newton's method, on a function that is convex: five steps are enough
        now = 1 / (1 + np.exp(-(logit + shift)))
        shift -= float((now.mean() - spent.mean()) / (now * (1 - now)).mean())
    scale = float(fitted.scale) * data.spend[spent].sum() / amount[spent].sum()
    fitted.set_level(shift=shift, scale=float(scale))


def _set_interval(fitted: SpendModel, other: SpendModel, unseen: Examples) -> None:
    """Take the spread of the amounts from a model and examples that it has not seen (split conformal)."""
    _, amount = _heads(other, unseen)
    spent = unseen.spend > 0
    ratios = np.quantile(unseen.spend[spent] / amount[spent], np.linspace(0, 1, _STEPS))
    upper = min(NOMINAL_COVERAGE * (1 + 1 / spent.sum()), 1.0)
    fitted.set_interval(ratios, lower=_LOWER, upper=float(upper))


def _heads(fitted: SpendModel, examples: Examples) -> tuple[Floats, Floats]:
    probability, amount = fitted.heads(tensors(examples.inputs))
    return probability.numpy(), amount.numpy()


def _save(fitted: SpendModel, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    signature = tf.function(fitted.answer).get_concrete_function(**signature_specs())
    try:
        tf.saved_model.save(fitted, str(folder), signatures={"serving_default": signature})
    except (OSError, tf.errors.OpError) as error:
        raise BadInput(f"cannot write the model to {folder} ({error}); make the folder writable") from None


def _golden(fitted: SpendModel, data: Examples) -> list[dict[str, Any]]:
    """Keep requests with the answers of the model in memory: examples spread over all predictions, and one of gaps."""
    probability, _ = _heads(fitted, data)
    spread = np.argsort(probability, kind="stable")[np.linspace(0, len(data) - 1, _GOLDEN - 1).astype(int)]
    gaps = missing_inputs()
    requests = {name: [*data.inputs[name][spread].tolist(), gaps[name]] for name in (*NUMBERS, *TEXTS)}
    columns = tensors(requests)
    answers = {name: tensor.numpy() for name, tensor in fitted.answer(**columns).items()}
    return [
        {
            "inputs": {name: _plain(column.numpy()[row]) for name, column in columns.items()},
            "outputs": {name: float(answer[row]) for name, answer in answers.items()},
        }
        for row in range(_GOLDEN)
    ]


def _plain(value: Any) -> float | str | None:
    """Write an input as JSON can: null is NaN."""
    if isinstance(value, bytes):
        return value.decode()
    return None if math.isnan(value) else float(value)
