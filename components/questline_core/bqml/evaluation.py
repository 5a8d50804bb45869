"""ML.EVALUATE, ML.ROC_CURVE and ML.CONFUSION_MATRIX: BigQuery's metrics in BigQuery's columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from questline_core.bqml.model import Model
from questline_core.bqml.preprocessing import Array
from questline_core.errors import BadInput

_TWO = 2
_THRESHOLDS = 100


def regression(truth: Array, predicted: Array) -> pa.Table:
    """Judge values."""
    from sklearn import metrics  # noqa: PLC0415 - slow to load, and needed for judging only

    logged = np.log1p(np.maximum(truth, 0)) - np.log1p(np.maximum(predicted, 0))
    return pa.table(
        {
            "mean_absolute_error": [float(metrics.mean_absolute_error(truth, predicted))],
            "mean_squared_error": [float(metrics.mean_squared_error(truth, predicted))],
            "mean_squared_log_error": [float((logged**2).mean())],
            "median_absolute_error": [float(metrics.median_absolute_error(truth, predicted))],
            "r2_score": [float(metrics.r2_score(truth, predicted)) if len(truth) > 1 else float("nan")],
            "explained_variance": [float(metrics.explained_variance_score(truth, predicted))],
        }
    )


def classification(model: Model, truth: Array, predicted: Array, threshold: float | None) -> pa.Table:
    """Judge probabilities (rows, classes); precision, recall and F1 of two classes are the positive one's."""
    from sklearn import metrics  # noqa: PLC0415 - slow to load, and needed for judging only

    check_threshold(model, threshold)
    chosen, classes = model.chosen(predicted, threshold), len(model.classes)
    average = {"average": "binary"} if classes == _TWO else {"average": "macro", "labels": np.arange(classes)}
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, chosen, zero_division=0.0, **average)
    return pa.table(
        {
            "precision": [float(precision)],
            "recall": [float(recall)],
            "accuracy": [float(metrics.accuracy_score(truth, chosen))],
            "f1_score": [float(f1)],
            "log_loss": [float(metrics.log_loss(truth, predicted, labels=np.arange(classes)))],
            "roc_auc": [_auc(truth, predicted)],
        }
    )


def _auc(truth: Array, predicted: Array) -> float:
    from sklearn import metrics  # noqa: PLC0415 - as above

    present = np.unique(truth)
    if len(present) < _TWO:
        return float("nan")
    if predicted.shape[1] == _TWO:
        return float(metrics.roc_auc_score(truth, predicted[:, 1]))
    return float(np.mean([metrics.roc_auc_score(truth == one, predicted[:, one]) for one in present]))


def check_threshold(model: Model, threshold: float | None) -> None:
    """Refuse a threshold for a model that has not two classes.

    Raises:
        BadInput: it has not.
    """
    if threshold is not None and len(model.classes) != _TWO:
        has = f"has {len(model.classes)}" if model.classes else "predicts values"
        raise BadInput(f"a threshold goes with a model of two classes; {model.name} {has}")


def roc_curve(model: Model, truth: Array, predicted: Array, thresholds: Sequence[float] | None) -> pa.Table:
    """Count hits and false alarms at thresholds; without any, at percentiles of the predictions.

    Raises:
        BadInput: the model has not two classes.
    """
    if len(model.classes) != _TWO:
        raise BadInput(f"ML.ROC_CURVE is for models of two classes; {model.name} has {len(model.classes) or 'none'}")
    positive, score = truth == 1, predicted[:, 1]
    if thresholds is None:
        thresholds = sorted(set(np.quantile(score, np.linspace(0, 1, _THRESHOLDS)).tolist()), reverse=True)
    wanted = np.asarray(list(thresholds), float)
    hits = _at_least(score[positive], wanted)
    alarms = _at_least(score[~positive], wanted)
    positives, negatives = int(positive.sum()), int((~positive).sum())
    return pa.table(
        {
            "threshold": pa.array(wanted, pa.float64()),
            "recall": hits / positives if positives else np.zeros(len(wanted)),
            "false_positive_rate": alarms / negatives if negatives else np.zeros(len(wanted)),
            "true_positives": pa.array(hits, pa.int64()),
            "false_positives": pa.array(alarms, pa.int64()),
            "true_negatives": pa.array(negatives - alarms, pa.int64()),
            "false_negatives": pa.array(positives - hits, pa.int64()),
        }
    )


def _at_least(scores: Array, thresholds: Array) -> Array:
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")


def confusion_matrix(model: Model, truth: Array, predicted: Array, threshold: float | None) -> pa.Table:
    """Count, for each expected label, how often each label was predicted."""
    from sklearn import metrics  # noqa: PLC0415 - slow to load, and needed for judging only

    check_threshold(model, threshold)
    classes = model.classes
    counts = metrics.confusion_matrix(truth, model.chosen(predicted, threshold), labels=np.arange(len(classes)))
    columns = {"expected_label": pa.array(classes, model.label_type)}
    for index, value in enumerate(classes):
        name = column_name(value)
        columns[f"{name}_{index}" if name in columns else name] = pa.array(counts[:, index], pa.int64())
    return pa.table(columns)


def column_name(value: object) -> str:
    """Make a column's name of a label as BigQuery does: letters, digits and _ only, and no digit first."""
    text = re.sub(r"[^A-Za-z0-9_]", "_", str(value).lower() if isinstance(value, bool) else str(value))
    return f"_{text}" if text[:1].isdigit() or not text else text
