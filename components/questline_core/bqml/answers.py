"""The ML table functions: each takes a model, rows and settings, and answers in BigQuery's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from questline_core.bqml import evaluation
from questline_core.bqml.evaluation import check_threshold
from questline_core.bqml.linear import Linear
from questline_core.bqml.literals import FLAG, FRACTION, Literal, whole
from questline_core.bqml.model import Model, contributions, probabilities
from questline_core.bqml.preprocessing import CALENDAR, Array, numbers, taken
from questline_core.bqml.rows import column_named
from questline_core.bqml.transform import Ask
from questline_core.bqml.trees import Trees
from questline_core.errors import BadInput
from questline_core.warehouse.where import without_place

_TWO = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call of a table function."""

    model: Model
    rows: pa.Table | None
    settings: Mapping[str, Any]
    thresholds: Sequence[float] | None
    ask: Ask

    def transformed(self) -> pa.Table:
        """Give the rows as the model's estimator knows them."""
        assert self.rows is not None  # noqa: S101 - the reader of the statement sees to it
        transform = self.model.transform
        if transform is None:
            return self.rows
        try:
            return transform.apply(self.rows, self.ask, label=self.model.label)
        except BadInput as error:  # its place is one in the text of CREATE MODEL
            raise BadInput(f"in TRANSFORM of {self.model.name}: {without_place(error)}") from None

    def margins(self) -> Array:
        """Give values or logits of the rows."""
        return self.model.estimator.margins(self.model.preprocessor.matrix(self.transformed()))


def predict(question: Question) -> pa.Table:
    """ML.PREDICT: the prediction, the probabilities of all classes, and the rows' own columns."""
    model, margins = question.model, question.margins()
    threshold = question.settings.get("threshold")
    check_threshold(model, threshold)
    columns = dict[str, Any]()
    if model.classes:
        chances = probabilities(margins)
        columns[f"predicted_{model.label}"] = model.values(chances, threshold)
        columns[f"predicted_{model.label}_probs"] = _probs(model, chances)
    else:
        columns[f"predicted_{model.label}"] = pa.array(margins[:, 0])
    return _with_input(columns, question)


def _probs(model: Model, chances: Array) -> Any:
    """ARRAY<STRUCT<label, prob>>, the highest label first as in BigQuery."""
    rows, classes = chances.shape
    labels = pa.array(list(model.classes)[::-1], model.label_type)
    structs = pa.StructArray.from_arrays(
        [taken(labels, np.tile(np.arange(classes), rows)), pa.array(chances[:, ::-1].ravel())],
        names=["label", "prob"],
    )
    return pa.ListArray.from_arrays(pa.array(np.arange(0, rows * classes + 1, classes), pa.int32()), structs)


def _with_input(columns: dict[str, Any], question: Question) -> pa.Table:
    assert question.rows is not None  # noqa: S101 - as above
    for name in question.rows.column_names:
        if name in columns:
            raise BadInput(f"the rows have a column {name} already, which is the prediction's name; leave it out")
        columns[name] = question.rows.column(name)
    return pa.table(columns)


def _judged(question: Question) -> tuple[Array, Array]:
    """Give truth and scores of the rows, or of those held out at training."""
    model = question.model
    if question.rows is None:
        kept = model.held_out
        scores = np.array(kept.column("scores").to_pylist(), float).reshape(kept.num_rows, -1)
        truth = kept.rename_columns([model.label, "scores"])
    else:
        truth, margins = question.transformed(), question.margins()
        column_named(truth, model.label)
        scores = probabilities(margins) if model.classes else margins
    if not model.classes:
        values = numbers(truth.column(column_named(truth, model.label)), model.label)
        known = ~np.isnan(values)
        found = values[known], scores[known, 0]
    else:
        classes = model.class_numbers(truth)
        known = classes >= 0
        found = classes[known], scores[known]
    if not known.any():
        raise BadInput(
            f"no row has a value of the label {model.label} that the model knows, so there is nothing to judge"
        )
    return found


def evaluate(question: Question) -> pa.Table:
    """ML.EVALUATE: metrics on the rows, or on those held out at training."""
    truth, scores = _judged(question)
    if not question.model.classes:
        check_threshold(question.model, question.settings.get("threshold"))
        return evaluation.regression(truth, scores)
    return evaluation.classification(question.model, truth, scores, question.settings.get("threshold"))


def roc_curve(question: Question) -> pa.Table:
    """ML.ROC_CURVE."""
    truth, scores = _judged(question)
    return evaluation.roc_curve(question.model, truth, scores, question.thresholds)


def confusion_matrix(question: Question) -> pa.Table:
    """ML.CONFUSION_MATRIX."""
    if not question.model.classes:
        raise BadInput(f"ML.CONFUSION_MATRIX is for classifiers; {question.model.name} is a {question.model.type}")
    truth, scores = _judged(question)
    return evaluation.confusion_matrix(question.model, truth, scores, question.settings.get("threshold"))


def feature_importance(question: Question) -> pa.Table:
    """ML.FEATURE_IMPORTANCE: how often a feature splits, and its mean gain and cover, most used first."""
    model = question.model
    if not isinstance(model.estimator, Trees):
        raise BadInput(f"ML.FEATURE_IMPORTANCE is for boosted trees; {model.name} is a {model.type}")
    columns, features = model.preprocessor.columns, model.preprocessor.features
    by_column = model.estimator.importance(len(columns))
    weight, gain, cover = (np.zeros(len(features)) for _ in range(3))
    for index, column in enumerate(columns):
        weight[column.feature] += by_column["weight"][index]
        gain[column.feature] += by_column["gain"][index] * by_column["weight"][index]
        cover[column.feature] += by_column["cover"][index] * by_column["weight"][index]
    used = np.maximum(weight, 1)
    order = np.argsort(-weight, kind="stable")
    return pa.table(
        {
            "feature": [features[i].name for i in order],
            "importance_weight": pa.array(weight[order].astype(np.int64)),
            "importance_gain": (gain / used)[order],
            "importance_cover": (cover / used)[order],
        }
    )


_CATEGORY_WEIGHTS = pa.list_(pa.struct([pa.field("category", pa.string()), pa.field("weight", pa.float64())]))


def _schema(columns: list[tuple[str, Any]]) -> pa.Schema:
    return pa.schema([pa.field(name, type_) for name, type_ in columns])


def weights(question: Question) -> pa.Table:
    """ML.WEIGHTS: one row for a feature (and class, if there are more than two), intercept last."""
    model = question.model
    if not isinstance(model.estimator, Linear):
        raise BadInput(f"ML.WEIGHTS is for linear and logistic regression; {model.name} is a {model.type}")
    rows = list[dict[str, Any]]()
    for output in range(len(model.estimator.intercepts)):
        rows += _weights_of(model, model.estimator, output, standardized=bool(question.settings.get("standardize")))
    schema = _schema(
        [
            ("processed_input", pa.string()),
            ("weight", pa.float64()),
            ("category_weights", _CATEGORY_WEIGHTS),
        ]
    )
    if len(model.classes) > _TWO:
        schema = schema.append(pa.field("class_label", pa.string()))
    return pa.Table.from_pylist(rows, schema=schema)


def _weights_of(model: Model, linear: Linear, output: int, *, standardized: bool) -> list[dict[str, Any]]:
    features, columns, weights = model.preprocessor.features, model.preprocessor.columns, linear.weights[output]
    label = {"class_label": str(model.classes[output])} if len(model.classes) > _TWO else {}
    intercept, rows = float(linear.intercepts[output]), list[dict[str, Any]]()
    for index, feature in enumerate(features):
        own = [(place, column) for place, column in enumerate(columns) if column.feature == index]
        if feature.kind in ("category", "many"):
            pairs = [{"category": column.category, "weight": float(weights[place])} for place, column in own]
            rows.append({"processed_input": feature.name, "weight": None, "category_weights": pairs, **label})
            continue
        for number, (place, _) in enumerate(own):
            weight = float(weights[place])
            if not standardized and feature.scale:
                weight /= feature.scale[number]
                intercept -= weight * feature.mean[number]
            name = feature.name if len(own) == 1 else f"{feature.name}[{number}]"
            rows.append({"processed_input": name, "weight": weight, "category_weights": [], **label})
    return [*rows, {"processed_input": "__INTERCEPT__", "weight": intercept, "category_weights": [], **label}]


def training_info(question: Question) -> pa.Table:
    """ML.TRAINING_INFO: one row an iteration, the last first."""
    schema = _schema(
        [
            ("training_run", pa.int64()),
            ("iteration", pa.int64()),
            ("loss", pa.float64()),
            ("eval_loss", pa.float64()),
            ("learning_rate", pa.float64()),
            ("duration_ms", pa.int64()),
        ]
    )
    rows = [{"training_run": 0, **row} for row in question.model.facts["iterations"]]
    return pa.Table.from_pylist(rows[::-1], schema=schema)


def feature_info(question: Question) -> pa.Table:
    """ML.FEATURE_INFO: what training saw of each feature."""
    numeric = ("min", "max", "mean", "median", "stddev")
    schema = _schema(
        [
            ("input", pa.string()),
            *((name, pa.float64()) for name in numeric),
            ("category_count", pa.int64()),
            ("null_count", pa.int64()),
            ("dimension", pa.int64()),
        ]
    )
    names = {feature.name for feature in question.model.preprocessor.features}
    calendar = {f"_TS_{part}_{name}" for part in CALENDAR for name in names}
    rows = [
        {"input": feature.name, **(feature.info or {})}
        for feature in question.model.preprocessor.features
        if feature.name not in calendar
    ]
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def explain_predict(question: Question) -> pa.Table:
    """ML.EXPLAIN_PREDICT: the prediction and what the features with the largest shares gave to it."""
    model, settings = question.model, question.settings
    table, threshold = question.transformed(), settings.get("threshold")
    check_threshold(model, threshold)
    steps = settings.get("integrated_gradients_num_steps")
    shares = contributions(model, table, approximate=bool(settings.get("approx_feature_contrib")), steps=steps)
    margins = model.estimator.margins(model.preprocessor.matrix(table))
    columns, rows = dict[str, Any](), np.arange(len(margins))
    if model.classes:
        chances = probabilities(margins)
        chosen = model.chosen(chances, threshold)
        columns[f"predicted_{model.label}"] = model.values(chances, threshold)
        columns["probability"] = chances[rows, chosen]
        if margins.shape[1] == 1:
            sign = np.where(chosen == 1, 1.0, -1.0)
            shares, margins = shares[:, 0] * sign[:, None], margins[:, 0] * sign
        else:
            shares, margins = shares[rows, chosen], margins[rows, chosen]
    else:
        shares, margins = shares[:, 0], margins[:, 0]
        columns[f"predicted_{model.label}"] = margins
    columns["top_feature_attributions"] = _top(model, shares, settings.get("top_k_features", 5))
    columns["baseline_prediction_value"] = shares[:, -1]
    columns["prediction_value"] = margins
    spread = np.abs(margins - shares[:, -1])
    exact = not model.type.startswith("DNN")
    error = np.abs(margins - shares.sum(axis=1)) / np.where(spread > 0, spread, 1.0)
    columns["approximation_error"] = np.zeros(len(margins)) if exact else error
    return _with_input(columns, question)


def _top(model: Model, shares: Array, count: int) -> Any:
    names = pa.array([feature.name for feature in model.preprocessor.features])
    own = shares[:, :-1]
    order = np.argsort(-np.abs(own), axis=1, kind="stable")[:, :count]
    flat = np.take_along_axis(own, order, axis=1).ravel()
    structs = pa.StructArray.from_arrays([taken(names, order.ravel()), pa.array(flat)], ["feature", "attribution"])
    return pa.ListArray.from_arrays(pa.array(np.arange(len(own) + 1) * order.shape[1], pa.int32()), structs)


def global_explain(question: Question) -> pa.Table:
    """ML.GLOBAL_EXPLAIN: the mean absolute share of each feature, for the model or for each class."""
    model = question.model
    if model.facts["global_explain"] is None:
        raise BadInput(f"{model.name} was trained without ENABLE_GLOBAL_EXPLAIN = TRUE; train it with this option")
    shares = np.asarray(model.facts["global_explain"])
    names = [feature.name for feature in model.preprocessor.features]
    if not question.settings.get("class_level_explain"):
        overall = shares.mean(axis=0)
        order = np.argsort(-overall, kind="stable")
        return pa.table({"feature": [names[i] for i in order], "attribution": overall[order]})
    if not model.classes:
        raise BadInput(f"class_level_explain is for classifiers; {model.name} is a {model.type}")
    rows = list[dict[str, Any]]()
    for index, value in enumerate(model.classes):
        own = shares[index if len(shares) > 1 else 0]
        top = np.argsort(-own, kind="stable")[:10]
        rows += [{model.label: str(value), "feature": names[i], "attribution": float(own[i])} for i in top]
    return pa.Table.from_pylist(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A table function: what it takes and who answers it."""

    answer: Callable[[Question], pa.Table]
    rows: str = "none"
    """Whether it takes rows: none, optional or needed."""
    settings: Mapping[str, Literal] = field(default_factory=dict)
    """Fields of its STRUCT."""
    thresholds: bool = False
    """Whether it takes an array of thresholds."""

    def takes(self) -> str:
        """List what may stand after the model, for a sentence."""
        parts = ["rows: (query) or TABLE name"] if self.rows != "none" else []
        parts += [f"STRUCT({', '.join(f'… AS {name}' for name in self.settings)})"] if self.settings else []
        parts += ["GENERATE_ARRAY(first, last, step)"] if self.thresholds else []
        return ", then ".join(parts) or "nothing"


_THRESHOLD = {"threshold": FRACTION}

ANSWERS: Mapping[str, Answer] = {
    "PREDICT": Answer(answer=predict, rows="needed", settings=_THRESHOLD),
    "EVALUATE": Answer(answer=evaluate, rows="optional", settings=_THRESHOLD),
    "ROC_CURVE": Answer(answer=roc_curve, rows="optional", thresholds=True),
    "CONFUSION_MATRIX": Answer(answer=confusion_matrix, rows="optional", settings=_THRESHOLD),
    "FEATURE_IMPORTANCE": Answer(answer=feature_importance),
    "WEIGHTS": Answer(answer=weights, settings={"standardize": FLAG}),
    "TRAINING_INFO": Answer(answer=training_info),
    "FEATURE_INFO": Answer(answer=feature_info),
    "EXPLAIN_PREDICT": Answer(
        answer=explain_predict,
        rows="needed",
        settings={
            "top_k_features": whole(1),
            **_THRESHOLD,
            "integrated_gradients_num_steps": whole(1, 30),
            "approx_feature_contrib": FLAG,
        },
    ),
    "GLOBAL_EXPLAIN": Answer(answer=global_explain, settings={"class_level_explain": FLAG}),
}
