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
from numpy.typing import NDArray

from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS, missing_inputs
from questline_core.metrics import Floats, losses
from questline_core.models.store import FAST
from questline_core.processes import write_atomically
from questline_core.spend.arrays import NOMINAL_COVERAGE, Examples, read_examples
from questline_core.spend.fast import write_fast
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
_UNKNOWN_PLAYERS = 0.1  # copies without a past, so that there is an answer for a player of whom nothing is known
_FROM_THE_EVENT = {"days_since_install", "local_hour"}
_PATIENCE = 4  # epochs
_GOLDEN = 20
_STEPS = 101  # quantiles of actual by predicted amount
_BATCHES_AT_ONCE = 25  # between two looks of Python: the same numbers for a quarter less CPU
_ROWS_AT_ONCE = 8192  # where nothing is learned
_HIDDEN = -1.0  # in the place of a target that a network does not see; real ones are not negative

Members = NDArray[np.int64]
"""For each example the number of a network."""


def train(examples: Path, model: Path, *, epochs: int, seed: int, settings: Settings = USUAL) -> None:
    """Fit the spend model and write saved_model/, training.json, golden.json and model.onnx.

    Two heads share one small network: the propensity (logistic loss over all examples as they are: rare spend needs no
    weights, which would have to be undone), and the amount if there is one (gamma loss over the examples with spend: a
    mean on a logarithmic scale). The expected value is their product. The interval lies between two quantiles of that
    distribution.

    Of the networks whose answers are averaged each leaves out its share of the players. What it says of them tells when
    to stop, how good the settings are and how far answers are off (conformal calibration by cross-validation): every
    example takes part, and none is judged by a network that knows its player.

    Args:
        examples: the folder of train.parquet.
        model: the folder to write; what an earlier training wrote there is replaced.
        epochs: passes over the examples at most; training stops when players left out are predicted worse.
        seed: the same examples and the same seed give the same model.
        settings: of the network.

    Raises:
        BadInput: the examples cannot be read, have no spend or too few players, or the folder cannot be written.
    """
    data = read_examples(examples / "train.parquet")
    if not (data.spend > 0).any():
        raise BadInput(f"no example in {examples} has any spend, so there is nothing to learn; extract more")
    tf.config.experimental.enable_op_determinism()
    left_out = _left_out(data, seed)
    fitted, by_epoch = _fit(data, left_out, settings, epochs=epochs, seed=seed)
    _set_level(fitted, data)
    unseen = _unseen(fitted, data, left_out)
    _set_interval(fitted, data, *unseen)
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
        "unseen_loss": _loss(data, *unseen),
        "unseen_loss_by_epoch": by_epoch,
    }
    write_atomically(model / "training.json", json.dumps(facts, indent=2))


def _left_out(data: Examples, seed: int) -> Members:
    """Tell which network leaves out which example. Players are dealt out, who spend most often first."""
    names, player = np.unique(data.players.astype(str), return_inverse=True)
    if len(names) < MEMBERS:
        raise BadInput(f"the examples are of {len(names)} players and {MEMBERS} are needed; extract more")
    spends = np.bincount(player, data.spend > 0)
    dealt = np.lexsort((np.random.default_rng(seed).random(len(names)), -spends))
    member = np.empty(len(names), np.int64)
    member[dealt] = np.arange(len(names)) % MEMBERS
    return member[player]


def _fit(
    data: Examples, left_out: Members, settings: Settings, *, epochs: int, seed: int
) -> tuple[SpendModel, list[float]]:
    """Fit the networks, each to the players it does not leave out, as long as those are predicted better.

    Returns:
        the model, and the loss on the players left out after each epoch.
    """
    tf.keras.utils.set_random_seed(seed)
    preprocessing = Preprocessing(data)
    scale = float(data.spend[data.spend > 0].mean())
    copied = np.flatnonzero(np.random.default_rng(seed).random(len(data)) < _UNKNOWN_PLAYERS)
    shown = _with_unknown_players(data, copied)
    matrix = preprocessing(tensors(shown.inputs)).numpy().astype(np.float32)
    network = make_network(matrix.shape[1], settings, base_rate=float((data.spend > 0).mean()), dtype="float32")
    network.compile(
        optimizer=tf.keras.optimizers.Adam(settings.learning_rate),
        loss=[_propensity_loss, _gamma_loss],
        steps_per_execution=_BATCHES_AT_ONCE,
    )
    hidden = np.concatenate([left_out, left_out[copied]])[:, None] == np.arange(MEMBERS)
    history = network.fit(
        matrix,
        _targets(shown, scale, hidden),
        validation_data=(matrix, _targets(shown, scale, ~hidden)),
        batch_size=min(max(len(shown) // 100, 64), 1024),
        validation_batch_size=_ROWS_AT_ONCE,
        epochs=epochs,
        verbose=0,
        callbacks=[tf.keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)],
    )
    fitted = SpendModel(preprocessing, for_serving(network, settings), scale=scale)
    return fitted, [float(loss) for loss in history.history["val_loss"]]


def _with_unknown_players(examples: Examples, copied: Members) -> Examples:
    """Add copies of some examples in which nothing of the player's past is known."""
    copies = examples.take(copied)
    past = [name for name in NUMBERS if name not in _FROM_THE_EVENT]
    blank = dict(copies.inputs) | {name: np.full(len(copies), math.nan) for name in past}
    return Examples(
        inputs={name: np.concatenate([examples.inputs[name], blank[name]]) for name in examples.inputs},
        spend=np.concatenate([examples.spend, copies.spend]),
        players=np.concatenate([examples.players, copies.players]),
        at_micros=np.concatenate([examples.at_micros, copies.at_micros]),
    )


def _targets(examples: Examples, scale: float, hidden: Any) -> list[Any]:
    """Give what each network is to answer for each row, by head."""
    columns = (examples.spend > 0).astype(np.float32), (examples.spend / scale).astype(np.float32)
    return [np.where(hidden, np.float32(_HIDDEN), column[:, None]) for column in columns]


def _propensity_loss(any_spend: Any, logit: Any) -> Any:
    """Score the chance of any spend."""
    return _mean_of_shown(any_spend, tf.nn.sigmoid_cross_entropy_with_logits(labels=any_spend, logits=logit))


def _gamma_loss(spend: Any, log_amount: Any) -> Any:
    """Score the amount where there is one: least at the mean, whatever the shape of the distribution."""
    loss = log_amount + spend * tf.exp(-log_amount)
    return _mean_of_shown(spend, tf.where(spend > 0, loss, tf.zeros_like(loss)))


def _mean_of_shown(targets: Any, losses: Any) -> Any:
    shown = targets != _HIDDEN
    return tf.reduce_sum(tf.where(shown, losses, tf.zeros_like(losses))) / tf.reduce_sum(tf.cast(shown, losses.dtype))


def _unseen(fitted: SpendModel, data: Examples, left_out: Members) -> tuple[Floats, Floats]:
    """Give both heads' answers for each example, as the network gives them that leaves out its player."""
    probability, amount = fitted.heads(tensors(data.inputs), voters=tf.one_hot(left_out, MEMBERS, dtype=tf.float64))
    return probability.numpy(), amount.numpy()


def _loss(data: Examples, probability: Floats, amount: Floats) -> float:
    """Score answers as training does, but without what decay adds, to compare settings by."""
    spent, ratio = data.spend > 0, data.spend / amount
    log_loss = losses(spent.astype(np.float64), probability)
    return float((log_loss + np.where(spent, np.log(amount) + ratio, 0)).mean())


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


def _set_interval(fitted: SpendModel, data: Examples, probability: Floats, amount: Floats) -> None:
    """Take the spread of the amounts from answers about players that were not known (conformal calibration)."""
    spent = data.spend > 0
    spend, probability, amount = data.spend[spent], probability[spent], amount[spent]
    ratios = np.quantile(spend / amount, np.linspace(0, 1, _STEPS))
    fitted.set_interval(ratios, lower=_LOWER, upper=1.0)
    lower = np.minimum(fitted.quantile(fitted.lower, probability, amount), probability * amount)
    # Who spends less than the lower bound has to be made up for above.
    upper = NOMINAL_COVERAGE * (1 + 1 / len(spend)) + float((spend < lower).mean())
    fitted.set_interval(ratios, lower=_LOWER, upper=min(upper, 1.0))


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
