"""Training: the models are those that NumPy, scikit-learn, XGBoost and Keras make of the same numbers, every time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest

from questline_core.bqml import Executor
from questline_core.bqml.linear import Problem, Progress
from questline_core.bqml.network import Network
from questline_core.bqml.network import train as train_network
from questline_core.bqml.options import Options

Rows = Callable[..., list[dict[str, Any]]]
Train = Callable[..., None]
PREDICT = "SELECT * FROM ML.PREDICT(MODEL zoo.m, TABLE zoo.animals) ORDER BY id"


def predicted(rows: Rows) -> list[Any]:
    return [[value for name, value in row.items() if name.startswith("predicted_")] for row in rows(PREDICT)]


@pytest.mark.parametrize(
    "model_type",
    [
        "LINEAR_REG",
        "LOGISTIC_REG",
        "BOOSTED_TREE_CLASSIFIER",
        "BOOSTED_TREE_REGRESSOR",
        "DNN_CLASSIFIER",
        "DNN_REGRESSOR",
    ],
)
def test_the_same_text_and_rows_in_any_order_give_the_same_model(
    model_type: str, connection: duckdb.DuckDBPyConnection, rows: Rows, train: Train
) -> None:
    label = "mass" if model_type.endswith(("REG", "REGRESSOR")) and "LOG" not in model_type else "heavy"
    extra = "SUBSAMPLE=0.7" if "TREE" in model_type else "MAX_ITERATIONS=3"
    train(model_type, label, "bill, flipper, species, island", extra)
    first = predicted(rows)
    connection.execute("CREATE OR REPLACE TABLE zoo.animals AS SELECT * FROM zoo.animals ORDER BY hash(id)")
    train(model_type, label, "bill, flipper, species, island", extra)

    assert predicted(rows) == first


def test_the_number_of_threads_changes_no_tree(bqml: Executor, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = []
    for threads in (1, 3):
        monkeypatch.setattr("questline_core.bqml.trees._THREADS", threads)
        train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, flipper, species", "MAX_ITERATIONS=3, SUBSAMPLE=0.7")
        trees.append((bqml.models.current("zoo.m") / "trees.ubj").read_bytes())

    assert trees[0] == trees[1]


def test_linear_regression_is_the_least_squares_solution(
    rows: Rows, train: Train, connection: duckdb.DuckDBPyConnection
) -> None:
    train("LINEAR_REG", "mass", "bill, flipper", "DATA_SPLIT_METHOD='NO_SPLIT'")
    told = {row["processed_input"]: row["weight"] for row in rows("SELECT * FROM ML.WEIGHTS(MODEL zoo.m)")}
    columns = connection.sql(
        "SELECT bill, COALESCE(flipper, (SELECT AVG(flipper) FROM zoo.animals)) AS f, mass FROM zoo.animals"
    ).fetchnumpy()
    design = np.column_stack([columns["bill"], columns["f"], np.ones(600)]).astype(float)

    assert np.allclose(
        [told["bill"], told["flipper"], told["__INTERCEPT__"]],
        np.linalg.lstsq(design, columns["mass"].astype(float))[0],
    )


def test_l2_of_the_normal_equation_is_ridge_regression(
    rows: Rows, train: Train, connection: duckdb.DuckDBPyConnection
) -> None:
    from sklearn.linear_model import Ridge

    train("LINEAR_REG", "mass", "bill", "DATA_SPLIT_METHOD='NO_SPLIT', L2_REG=50.0")
    weight = rows(
        "SELECT weight FROM ML.WEIGHTS(MODEL zoo.m, STRUCT(TRUE AS standardize)) WHERE processed_input = 'bill'"
    )[0]["weight"]
    columns = connection.sql("SELECT bill, mass FROM zoo.animals").fetchnumpy()
    bill = columns["bill"].astype(float)

    assert np.isclose(
        weight,
        Ridge(50.0).fit(((bill - bill.mean()) / bill.std(ddof=1))[:, None], columns["mass"].astype(float)).coef_[0],
    )


@pytest.mark.parametrize(
    ("label", "penalty"), [("heavy", "L2_REG=2.0"), ("heavy", "L1_REG=2.0"), ("species", "L2_REG=2.0")]
)
def test_logistic_regression_run_to_its_end_is_that_of_scikit_learn(
    label: str, penalty: str, rows: Rows, train: Train, connection: duckdb.DuckDBPyConnection
) -> None:
    from sklearn.linear_model import LogisticRegression

    train(
        "LOGISTIC_REG",
        label,
        "bill, mass",
        f"DATA_SPLIT_METHOD='NO_SPLIT', EARLY_STOP=FALSE, MAX_ITERATIONS=500, {penalty}",
    )
    columns = connection.sql(f"SELECT bill, mass, {label} AS y FROM zoo.animals ORDER BY id").fetchnumpy()  # noqa: S608
    design = np.column_stack([columns["bill"], columns["mass"]]).astype(float)
    design = (design - design.mean(axis=0)) / design.std(axis=0, ddof=1)
    ratio = 1.0 if penalty.startswith("L1") else 0.0
    solver = "saga" if ratio else "lbfgs"
    model = LogisticRegression(C=0.5, l1_ratio=ratio, solver=solver, tol=1e-8, max_iter=20_000).fit(
        design, columns["y"]
    )
    ours = [[p["prob"] for p in reversed(row[1])] for row in predicted(rows)]

    assert np.allclose(ours, model.predict_proba(design), atol=2e-4)


def test_early_stop_ends_training_when_the_held_out_loss_gains_too_little(rows: Rows, train: Train) -> None:
    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, mass", "MAX_ITERATIONS=50, MIN_REL_PROGRESS=0.05")
    losses = [row["eval_loss"] for row in rows("SELECT * FROM ML.TRAINING_INFO(MODEL zoo.m) ORDER BY iteration")]
    gains = [1 - after / before for before, after in itertools.pairwise(losses)]

    assert len(losses) < 50
    assert all(gain >= 0.05 for gain in gains[:-1])
    assert gains[-1] < 0.05
    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, mass", "MAX_ITERATIONS=50, EARLY_STOP=FALSE")
    assert rows("SELECT COUNT(*) AS n FROM ML.TRAINING_INFO(MODEL zoo.m)") == [{"n": 50}]


def test_boosted_trees_are_those_of_xgboost_on_label_encoded_columns(
    rows: Rows, train: Train, connection: duckdb.DuckDBPyConnection
) -> None:
    import xgboost as xgb

    train(
        "BOOSTED_TREE_CLASSIFIER",
        "heavy",
        "bill, species",
        "DATA_SPLIT_METHOD='NO_SPLIT', EARLY_STOP=FALSE, LEARN_RATE=0.1",
    )
    columns = connection.sql("SELECT bill, ascii(species) AS s, heavy FROM zoo.animals ORDER BY id").fetchnumpy()
    data = xgb.DMatrix(np.column_stack([columns["bill"], columns["s"]]), label=columns["heavy"])
    settings = {
        "objective": "binary:logistic",
        "eta": 0.1,
        "max_depth": 6,
        "base_score": 0.5,
        "tree_method": "hist",
        "nthread": 1,
    }
    plain = xgb.train(settings, data, 20).predict(data)

    assert np.allclose([row[1][0]["prob"] for row in predicted(rows)], plain, atol=1e-6)


def test_class_weights_and_balanced_weights_move_the_probabilities(rows: Rows, train: Train) -> None:
    def mean_chance(extra: str) -> float:
        train("LOGISTIC_REG", "heavy", "bill", f"DATA_SPLIT_METHOD='NO_SPLIT', EARLY_STOP=FALSE{extra}")
        return float(np.mean([row[1][0]["prob"] for row in predicted(rows)]))

    rate = rows("SELECT AVG(heavy) AS rate FROM zoo.animals")[0]["rate"]
    assert mean_chance("") == pytest.approx(rate, abs=1e-4)
    assert mean_chance(", AUTO_CLASS_WEIGHTS=TRUE") == pytest.approx(0.5, abs=1e-3)
    weighted = 3 * rate / (3 * rate + 1 - rate)
    assert mean_chance(", CLASS_WEIGHTS=[STRUCT('0', 1.0), STRUCT('1', 3.0)]") == pytest.approx(weighted, abs=1e-3)


def test_a_constant_learn_rate_is_plain_gradient_descent(rows: Rows, train: Train) -> None:
    train(
        "LOGISTIC_REG",
        "heavy",
        "bill",
        "LEARN_RATE_STRATEGY='CONSTANT', LEARN_RATE=0.5, EARLY_STOP=FALSE, MAX_ITERATIONS=7",
    )
    told = rows("SELECT * FROM ML.TRAINING_INFO(MODEL zoo.m) ORDER BY iteration")

    assert [row["learning_rate"] for row in told] == [0.5] * 7
    assert all(after["loss"] < before["loss"] for before, after in itertools.pairwise(told))


@pytest.mark.parametrize("activation", ["RELU", "RELU6", "CRELU", "ELU", "SELU", "SIGMOID", "TANH"])
def test_a_network_answers_as_keras_does_and_its_gradients_are_right(activation: str) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(64, 3))
    problem = Problem(matrix, matrix.sum(axis=1), np.ones(64), 1, classify=False)
    network = train_network(
        problem,
        None,
        Options("DNN_REGRESSOR", {"ACTIVATION_FN": activation, "HIDDEN_UNITS": [5, 4], "MAX_ITERATIONS": 1}),
        Progress(early_stop=False, min_rel_progress=0),
        seed=1,
    )
    shares = network.contributions(matrix, steps=1000)

    assert np.allclose(network.margins(matrix), _in_keras(network, matrix), atol=1e-5)
    assert np.allclose(shares.sum(axis=2), network.margins(matrix), atol=5e-3)


def _in_keras(network: Network, matrix: Any) -> Any:
    import keras

    values = keras.ops.convert_to_tensor(matrix)
    for weights, biases in network.layers[:-1]:
        values = values @ weights + biases
        if network.activation == "CRELU":
            values = keras.ops.relu(keras.ops.concatenate([values, -values], axis=-1))
        else:
            values = keras.activations.get(network.activation.lower())(values)
    return np.asarray(values @ network.layers[-1][0] + network.layers[-1][1])


def test_a_network_without_hidden_units_gets_the_documented_number(bqml: Executor, train: Train) -> None:
    train("DNN_REGRESSOR", "mass", "bill, flipper", "MAX_ITERATIONS=1, DATA_SPLIT_METHOD='NO_SPLIT'")
    with np.load(bqml.models.current("zoo.m") / "network.npz") as arrays:
        assert arrays["w0"].shape == (2, 20)
