"""CREATE MODEL: from the rows of its query to the files of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from questline_core.bqml import linear, network, trees
from questline_core.bqml.linear import Problem, Progress
from questline_core.bqml.model import (
    HELD_OUT,
    Estimator,
    Model,
    contributions,
    preprocessing_facts,
    probabilities,
    save,
)
from questline_core.bqml.options import CLASSIFIERS, LINEAR, TREES, Options, class_weights
from questline_core.bqml.preprocessing import Array, Preprocessor, fit, is_numeric, numbers, positions
from questline_core.bqml.rows import Rows, column_named, label_values, ordered, split
from questline_core.bqml.transform import Ask, Transform
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name

_MOST_CLASSES = {"LOGISTIC_REG": 50, "BOOSTED_TREE_CLASSIFIER": 50, "DNN_CLASSIFIER": 1000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What CREATE MODEL asks for."""

    statement: str
    options: Options
    transform: Transform | None
    seed: int

    @property
    def label(self) -> str:
        """The label's column."""
        return str((self.options["INPUT_LABEL_COLS"] or ["label"])[0])


def train(order: Order, table: pa.Table, ask: Ask) -> Callable[[Path], Mapping[str, Any]]:
    """Train on the rows of the query; gives what writes the model's files into a folder.

    Raises:
        BadInput: the label is missing or unusable, a column cannot be a feature, or no rows are left to train on.
    """
    table, content = ordered(table)
    source, transform = table, None
    if order.transform:
        transform, table = order.transform.learn(table, ask)
        table = _with_split_column(table, source, order.options)
    label = _label(table, order)
    if table.column(label).null_count:
        table = table.filter(pc.is_valid(table.column(label)))
    rows = split(table, order.options, seed=order.seed)
    task = _Task(order, label, rows)
    preprocessor = task.preprocessor()
    progress = Progress(order.options["EARLY_STOP"], order.options["MIN_REL_PROGRESS"])
    training = task.problem(preprocessor, rows.training)
    held_out = task.problem(preprocessor, rows.held_out) if rows.held_out.num_rows else None
    estimator = _estimate(training, held_out, order, progress)
    if progress.rows and not math.isfinite(progress.rows[-1]["loss"] or 0):
        raise order.options.wrong(
            "LEARN_RATE", "the loss grew beyond all numbers; a lower LEARN_RATE learns in smaller steps"
        )

    def write(folder: Path) -> Mapping[str, Any]:
        save(folder, estimator)
        judged = rows.held_out if held_out else rows.training
        pq.write_table(task.scored(judged, estimator, (held_out or training)), folder / HELD_OUT)
        facts = task.facts(preprocessor, transform, progress, content)
        return {**facts, "source": _schema(source), "global_explain": _explain(folder, facts, judged, order)}

    return write


def _label(table: pa.Table, order: Order) -> str:
    try:
        return column_named(table, order.label)
    except BadInput as error:
        raise order.options.wrong("INPUT_LABEL_COLS", f"{error}; INPUT_LABEL_COLS names the label") from None


def _with_split_column(table: pa.Table, source: pa.Table, options: Options) -> pa.Table:
    name = options["DATA_SPLIT_COL"]
    if name is None or name.lower() in (column.lower() for column in table.column_names):
        return table
    try:
        return table.append_column(name, source.column(column_named(source, name)))
    except BadInput as error:
        raise options.wrong("DATA_SPLIT_COL", str(error)) from None


def _estimate(training: Problem, held_out: Problem | None, order: Order, progress: Progress) -> Estimator:
    if order.options.model_type in LINEAR:
        return linear.train(training, held_out, order.options, progress)
    trainer = trees.train if order.options.model_type in TREES else network.train
    return trainer(training, held_out, order.options, progress, seed=order.seed)


class _Task:
    """What is asked of these rows: a value, or one of several classes."""

    def __init__(self, order: Order, label: str, rows: Rows) -> None:
        self.order, self.label, self.rows = order, label, rows
        self.label_type = rows.training.schema.field(label).type
        self.classify = order.options.model_type in CLASSIFIERS
        self.classes = label_values(rows.training.column(label)) if self.classify else []
        self._check()

    def _check(self) -> None:
        kind, name, is_ = self.order.options.model_type, self.label, type_name(self.label_type)
        if self.rows.training.num_columns < 2:  # noqa: PLR2004 - the label and a feature
            raise self._wrong(f"the query gives no column beside the label {name}; give it features to learn from")
        if self.classify:
            simple = pa.types.is_integer(self.label_type) or pa.types.is_boolean(self.label_type)
            if not (simple or pa.types.is_string(self.label_type)):
                raise self._wrong(f"the label {name} is {is_}; {kind} learns INT64, STRING or BOOL labels")
            if not 2 <= len(self.classes) <= _MOST_CLASSES[kind]:  # noqa: PLR2004 - one class is no choice
                count = f"{len(self.classes)} value" + "s" * (len(self.classes) != 1)
                raise self._wrong(
                    f"the label {name} has {count} among the training rows; {kind} needs 2 to {_MOST_CLASSES[kind]}"
                )
        elif not is_numeric(self.label_type):
            raise self._wrong(f"the label {name} is {is_}; {kind} learns numbers")
        else:
            for table in (self.rows.training, self.rows.held_out):
                values: Any = table.column(name).cast(pa.float64(), safe=False)
                if not np.isfinite(values.to_numpy()).all():
                    raise self._wrong(f"the label {name} holds NaN or an infinite value; {kind} learns finite numbers")

    def _wrong(self, sentence: str) -> BadInput:
        return self.order.options.wrong("INPUT_LABEL_COLS", sentence)

    @property
    def outputs(self) -> int:
        return len(self.classes) if len(self.classes) > 2 else 1  # noqa: PLR2004 - two classes need one logit

    def features(self, table: pa.Table) -> pa.Table:
        return table.drop_columns([self.label])

    def numbered(self, table: pa.Table) -> Array:
        column = table.column(self.label)
        if not self.classify:
            return numbers(column, self.label)
        return positions(column, pa.array(self.classes, self.label_type))

    def preprocessor(self) -> Preprocessor:
        options, y = self.order.options, self.numbered(self.rows.training)
        encoding = "ONE_HOT_ENCODING"
        if options.model_type in (*LINEAR, *TREES):
            encoding = options["CATEGORY_ENCODING_METHOD"]
        targets = (
            (y[:, None] == np.arange(self.outputs)[None]).astype(float)
            if self.outputs > 1
            else y[:, None].astype(float)
        )
        return fit(
            self.features(self.rows.training),
            standardize=options.model_type not in TREES,
            encoding=encoding,
            targets=targets,
        )

    def problem(self, preprocessor: Preprocessor, table: pa.Table) -> Problem:
        y = self.numbered(table)
        known = y >= 0 if self.classify else np.ones(len(y), bool)
        matrix = preprocessor.matrix(self.features(table))
        weights = self._class_weights()[y] if self.classify else np.ones(len(y))
        return Problem(matrix, y, np.where(known, weights, 0.0), self.outputs, self.classify)

    def _class_weights(self) -> Array:
        options = self.order.options
        if options["AUTO_CLASS_WEIGHTS"]:
            counts = np.bincount(self.numbered(self.rows.training), minlength=len(self.classes))
            return np.asarray(counts.sum() / (counts * len(self.classes)))
        given = options["CLASS_WEIGHTS"]
        if not given:
            return np.ones(len(self.classes))
        weights = dict(class_weights(given))
        names = [_class_name(value) for value in self.classes]
        if set(weights) != set(names):
            raise options.wrong(
                "CLASS_WEIGHTS",
                f"CLASS_WEIGHTS must weigh every class: {', '.join(names)}; it weighs {', '.join(weights)}",
            )
        return np.array([float(weights[name]) for name in names])

    def scored(self, table: pa.Table, estimator: Estimator, problem: Problem) -> pa.Table:
        margins = estimator.margins(problem.matrix)
        scores = probabilities(margins) if self.classify else margins
        flat = pa.array(scores.ravel())
        return pa.table(
            {
                "label": table.column(self.label),
                "scores": pa.FixedSizeListArray.from_arrays(flat, scores.shape[1]).cast(pa.list_(pa.float64())),
            }
        )

    def facts(
        self, preprocessor: Preprocessor, transform: Transform | None, progress: Progress, content: str
    ) -> dict[str, Any]:
        options = self.order.options
        return {
            "statement": self.order.statement,
            "options": {"MODEL_TYPE": options.model_type, **options.given},
            "seed": self.order.seed,
            "data_version": content,
            "rows": {"training": self.rows.training.num_rows, "held_out": self.rows.held_out.num_rows},
            "label": self.label,
            "label_type": str(self.label_type),
            "classes": self.classes,
            "preprocessing": preprocessing_facts(preprocessor),
            "transform": transform.facts() if transform else None,
            "iterations": progress.rows,
        }


def _class_name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _schema(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def _explain(folder: Path, facts: Mapping[str, Any], judged: pa.Table, order: Order) -> list[list[float]] | None:
    """Average each feature's absolute share over the judged rows, for each output."""
    options = order.options
    if not options["ENABLE_GLOBAL_EXPLAIN"]:
        return None
    approximate = False
    if options.model_type in TREES:
        given = options["APPROX_GLOBAL_FEATURE_CONTRIB"]
        approximate = options["NUM_PARALLEL_TREE"] >= 10 if given is None else given  # noqa: PLR2004 - BigQuery's default
    shares = contributions(Model(folder, facts), judged, approximate=approximate)
    averaged: list[list[float]] = np.abs(shares[:, :, :-1]).mean(axis=0).tolist()
    return averaged
