"""Table functions: BigQuery's columns in BigQuery's order, and values that can be checked by other means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest
from sklearn import metrics

from questline_core.bqml import Executor
from questline_core.errors import BadInput

Rows = Callable[..., list[dict[str, Any]]]
Train = Callable[..., None]
CLASSIFIED = {
    "precision": "double",
    "recall": "double",
    "accuracy": "double",
    "f1_score": "double",
    "log_loss": "double",
    "roc_auc": "double",
}
REGRESSED = dict.fromkeys(
    [
        "mean_absolute_error",
        "mean_squared_error",
        "mean_squared_log_error",
        "median_absolute_error",
        "r2_score",
        "explained_variance",
    ],
    "double",
)
EXPLAINED = {
    "top_feature_attributions": "list<l: struct<feature: string, attribution: double>>",
    "baseline_prediction_value": "double",
    "prediction_value": "double",
    "approximation_error": "double",
    "bill": "double",
}


def columns(bqml: Executor, sql: str) -> dict[str, str]:
    return {field.name: str(field.type) for field in bqml.run(sql).schema}


def test_columns_of_a_classifier_with_an_integer_label(bqml: Executor, train: Train) -> None:
    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill", "ENABLE_GLOBAL_EXPLAIN=TRUE")
    some = "(SELECT bill FROM zoo.animals LIMIT 2)"

    assert columns(bqml, f"SELECT * FROM ML.PREDICT(MODEL zoo.m, {some})") == {  # noqa: S608
        "predicted_heavy": "int64",
        "predicted_heavy_probs": "list<l: struct<label: int64, prob: double>>",
        "bill": "double",
    }
    assert columns(bqml, "SELECT * FROM ML.EVALUATE(MODEL zoo.m)") == CLASSIFIED
    assert columns(bqml, "SELECT * FROM ML.CONFUSION_MATRIX(MODEL zoo.m)") == {
        "expected_label": "int64",
        "_0": "int64",
        "_1": "int64",
    }
    assert columns(bqml, "SELECT * FROM ML.ROC_CURVE(MODEL zoo.m)") == {
        "threshold": "double", "recall": "double", "false_positive_rate": "double", "true_positives": "int64",
        "false_positives": "int64", "true_negatives": "int64", "false_negatives": "int64",
    }  # fmt: skip
    assert columns(bqml, "SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL zoo.m)") == {
        "feature": "string", "importance_weight": "int64", "importance_gain": "double", "importance_cover": "double",
    }  # fmt: skip
    assert columns(bqml, f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL zoo.m, {some})") == {  # noqa: S608
        "predicted_heavy": "int64",
        "probability": "double",
        **EXPLAINED,
    }
    assert columns(bqml, "SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL zoo.m)") == {
        "feature": "string",
        "attribution": "double",
    }
    assert columns(bqml, "SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL zoo.m, STRUCT(TRUE AS class_level_explain))") == {
        "heavy": "string",
        "feature": "string",
        "attribution": "double",
    }


def test_columns_of_a_regression(bqml: Executor, train: Train) -> None:
    train("LINEAR_REG", "mass", "bill")
    some = "(SELECT bill FROM zoo.animals LIMIT 2)"

    assert columns(bqml, f"SELECT * FROM ML.PREDICT(MODEL zoo.m, {some})") == {  # noqa: S608
        "predicted_mass": "double",
        "bill": "double",
    }
    assert columns(bqml, "SELECT * FROM ML.EVALUATE(MODEL zoo.m)") == REGRESSED
    assert columns(bqml, "SELECT * FROM ML.WEIGHTS(MODEL zoo.m)") == {
        "processed_input": "string",
        "weight": "double",
        "category_weights": "list<l: struct<category: string, weight: double>>",
    }
    assert columns(bqml, f"SELECT * FROM ML.EXPLAIN_PREDICT(MODEL zoo.m, {some})") == {  # noqa: S608
        "predicted_mass": "double",
        **EXPLAINED,
    }
    assert columns(bqml, "SELECT * FROM ML.TRAINING_INFO(MODEL zoo.m)") == {
        "training_run": "int64", "iteration": "int64", "loss": "double", "eval_loss": "double", "learning_rate": "double", "duration_ms": "int64",
    }  # fmt: skip
    assert columns(bqml, "SELECT * FROM ML.FEATURE_INFO(MODEL zoo.m)") == {
        "input": "string", "min": "double", "max": "double", "mean": "double", "median": "double", "stddev": "double",
        "category_count": "int64", "null_count": "int64", "dimension": "int64",
    }  # fmt: skip


@pytest.mark.parametrize("case", [("species", "string", "Gentoo"), ("tagged", "bool", True)])
def test_labels_keep_their_type_and_the_highest_comes_first(
    case: tuple[str, str, Any], bqml: Executor, rows: Rows, train: Train
) -> None:
    label, type_, highest = case
    train("LOGISTIC_REG", label, "bill, mass")
    sql = "SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT bill, mass FROM zoo.animals))"
    found = rows(sql)

    assert columns(bqml, sql)[f"predicted_{label}"] == type_
    assert {row[f"predicted_{label}_probs"][0]["label"] for row in found} == {highest}
    assert all(sum(p["prob"] for p in row[f"predicted_{label}_probs"]) == pytest.approx(1) for row in found)


def test_metrics_on_given_rows_are_those_of_scikit_learn(rows: Rows, train: Train) -> None:
    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, species, mass", "MAX_ITERATIONS=3")
    found = rows(
        "SELECT predicted_heavy_probs[OFFSET(0)].prob AS p, heavy FROM ML.PREDICT(MODEL zoo.m, TABLE zoo.animals)"
    )
    truth, chance = np.array([row["heavy"] for row in found]), np.array([row["p"] for row in found])
    for threshold in (0.5, 0.3):
        told = rows(f"SELECT * FROM ML.EVALUATE(MODEL zoo.m, TABLE zoo.animals, STRUCT({threshold} AS threshold))")[0]  # noqa: S608
        assert told == {
            "precision": pytest.approx(metrics.precision_score(truth, chance >= threshold)),
            "recall": pytest.approx(metrics.recall_score(truth, chance >= threshold)),
            "accuracy": pytest.approx(metrics.accuracy_score(truth, chance >= threshold)),
            "f1_score": pytest.approx(metrics.f1_score(truth, chance >= threshold)),
            "log_loss": pytest.approx(metrics.log_loss(truth, chance)),
            "roc_auc": pytest.approx(metrics.roc_auc_score(truth, chance)),
        }
    matrix = rows("SELECT * FROM ML.CONFUSION_MATRIX(MODEL zoo.m, TABLE zoo.animals, STRUCT(0.3 AS threshold))")
    assert [[row["_0"], row["_1"]] for row in matrix] == metrics.confusion_matrix(truth, chance >= 0.3).tolist()


def test_without_rows_the_held_out_ones_are_judged_and_without_those_all(rows: Rows, train: Train) -> None:
    extra = "DATA_SPLIT_METHOD='CUSTOM', DATA_SPLIT_COL='late'"
    train("LINEAR_REG", "mass", "bill, flipper, id > 400 AS late", extra)
    later = rows("SELECT * FROM ML.EVALUATE(MODEL zoo.m, (SELECT * FROM zoo.animals WHERE id > 400))")[0]
    assert rows("SELECT * FROM ML.EVALUATE(MODEL zoo.m)")[0] == pytest.approx(later)

    train("LINEAR_REG", "mass", "bill, flipper", "DATA_SPLIT_METHOD='NO_SPLIT'")
    everything = rows("SELECT * FROM ML.EVALUATE(MODEL zoo.m, TABLE zoo.animals)")[0]
    assert rows("SELECT * FROM ML.EVALUATE(MODEL zoo.m)")[0] == pytest.approx(everything)
    assert rows("SELECT eval_loss FROM ML.TRAINING_INFO(MODEL zoo.m)")[0] == {"eval_loss": None}


def test_a_roc_curve_counts_at_the_thresholds_that_were_given(rows: Rows, train: Train) -> None:
    train("LOGISTIC_REG", "heavy", "bill, mass")
    curve = rows(
        "SELECT * FROM ML.ROC_CURVE(MODEL zoo.m, TABLE zoo.animals, GENERATE_ARRAY(0.2, 0.8, 0.2)) ORDER BY threshold"
    )
    found = rows(
        "SELECT predicted_heavy_probs[OFFSET(0)].prob AS p, heavy FROM ML.PREDICT(MODEL zoo.m, TABLE zoo.animals)"
    )

    assert [round(row["threshold"], 9) for row in curve] == [0.2, 0.4, 0.6, 0.8]
    for row in curve:
        chosen = [(other["heavy"], other["p"] >= row["threshold"]) for other in found]
        assert row["true_positives"] == chosen.count((1, True))
        assert row["false_positives"] == chosen.count((0, True))
        assert row["true_negatives"] == chosen.count((0, False))
        assert row["false_negatives"] == chosen.count((1, False))
        assert row["recall"] == row["true_positives"] / (row["true_positives"] + row["false_negatives"])


def test_weights_reproduce_the_prediction(rows: Rows, train: Train) -> None:
    train("LINEAR_REG", "mass", "bill, species")
    told = {row["processed_input"]: row for row in rows("SELECT * FROM ML.WEIGHTS(MODEL zoo.m)")}
    of_species = {pair["category"]: pair["weight"] for pair in told["species"]["category_weights"]}

    assert list(told) == ["bill", "species", "__INTERCEPT__"]
    assert told["species"]["weight"] is None
    for row in rows("SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT * FROM zoo.animals LIMIT 5))"):
        value = told["__INTERCEPT__"]["weight"] + told["bill"]["weight"] * row["bill"] + of_species[row["species"]]
        assert row["predicted_mass"] == pytest.approx(value)


def test_weights_of_three_classes_name_their_class(rows: Rows, train: Train) -> None:
    train("LOGISTIC_REG", "species", "bill, mass")
    told = rows("SELECT class_label, processed_input FROM ML.WEIGHTS(MODEL zoo.m)")

    assert [row["class_label"] for row in told] == ["Adelie"] * 3 + ["Chinstrap"] * 3 + ["Gentoo"] * 3


@pytest.mark.parametrize(
    ("model_type", "label"),
    [
        ("LINEAR_REG", "mass"),
        ("LOGISTIC_REG", "heavy"),
        ("LOGISTIC_REG", "species"),
        ("BOOSTED_TREE_REGRESSOR", "mass"),
        ("BOOSTED_TREE_CLASSIFIER", "heavy"),
        ("BOOSTED_TREE_CLASSIFIER", "species"),
        ("DNN_CLASSIFIER", "heavy"),
    ],
)
def test_attributions_add_up_to_the_prediction(model_type: str, label: str, rows: Rows, train: Train) -> None:
    extra = "HIDDEN_UNITS=[4], MAX_ITERATIONS=2" if "DNN" in model_type else ""
    train(model_type, label, "bill, flipper, island, id", extra)
    for row in rows(
        "SELECT * FROM ML.EXPLAIN_PREDICT(MODEL zoo.m, (SELECT * FROM zoo.animals LIMIT 9), STRUCT(99 AS top_k_features))"
    ):
        total = row["baseline_prediction_value"] + sum(one["attribution"] for one in row["top_feature_attributions"])
        sizes = [abs(one["attribution"]) for one in row["top_feature_attributions"]]
        assert total == pytest.approx(row["prediction_value"], rel=1e-3, abs=0.15 if "DNN" in model_type else 1e-3)
        assert sizes == sorted(sizes, reverse=True)
        assert {one["feature"] for one in row["top_feature_attributions"]} == {"bill", "flipper", "island", "id"}
        if label == "heavy":
            assert row["probability"] == pytest.approx(1 / (1 + np.exp(-row["prediction_value"])), abs=1e-6)


def test_global_explanations_name_the_feature_that_decides(rows: Rows, train: Train) -> None:
    train("BOOSTED_TREE_REGRESSOR", "mass", "bill, species", "ENABLE_GLOBAL_EXPLAIN=TRUE")

    assert rows("SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL zoo.m)")[0]["feature"] == "species"
    assert (
        rows("SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL zoo.m) ORDER BY importance_gain DESC")[0]["feature"]
        == "species"
    )


def test_feature_info_tells_what_training_saw(rows: Rows, train: Train) -> None:
    train("LINEAR_REG", "mass", "flipper, island", "DATA_SPLIT_METHOD='NO_SPLIT'")
    numbers, category = rows("SELECT * FROM ML.FEATURE_INFO(MODEL zoo.m)")

    assert (numbers["min"], numbers["max"], numbers["null_count"], numbers["category_count"]) == (
        170.0,
        219.0,
        55,
        None,
    )
    assert (category["min"], category["category_count"], category["null_count"]) == (None, 2, 120)


def test_a_prediction_does_not_hide_a_column_of_its_name(bqml: Executor, train: Train) -> None:
    train("LINEAR_REG", "mass", "bill")
    with pytest.raises(BadInput, match="the rows have a column predicted_mass already"):
        bqml.run("SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT bill, 1 AS predicted_mass FROM zoo.animals))")


def test_a_roc_curve_without_thresholds_uses_percentiles(rows: Rows, train: Train) -> None:
    train("LOGISTIC_REG", "heavy", "bill, mass")
    curve = rows("SELECT * FROM ML.ROC_CURVE(MODEL zoo.m)")

    assert len(curve) == 100
    assert (curve[-1]["recall"], curve[-1]["false_positive_rate"]) == (1.0, 1.0)
    assert [row["threshold"] for row in curve] == sorted((row["threshold"] for row in curve), reverse=True)


def test_numeric_columns_of_any_duckdb_are_floats(bqml: Executor, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE TABLE zoo.prices AS SELECT 1.25::DECIMAL(9, 2) AS price")

    assert columns(bqml, "SELECT price FROM zoo.prices") == {"price": "double"}
