"""A trained model: what is read from its files, and what it answers for rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, softmax

from questline_core.bqml import trees
from questline_core.bqml.linear import Linear
from questline_core.bqml.network import Network
from questline_core.bqml.options import Options
from questline_core.bqml.preprocessing import Array, Feature, Preprocessor, positions, spelled_out, taken
from questline_core.bqml.rows import column_named
from questline_core.bqml.transform import Transform
from questline_core.bqml.trees import Trees
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name

Estimator: TypeAlias = Linear | Trees | Network

HELD_OUT = "held_out.parquet"
"""Label and score of each held-out row, and no feature: a model keeps no player's data."""


@dataclass(frozen=True)
class Model:
    """One version of a model that was trained here."""

    folder: Path
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """DATASET.MODEL."""
        return str(self.facts["name"])

    @property
    def type(self) -> str:
        """The MODEL_TYPE."""
        return str(self.facts["options"]["MODEL_TYPE"])

    @property
    def label(self) -> str:
        """The label's column."""
        return str(self.facts["label"])

    @property
    def classes(self) -> Sequence[Any]:
        """The label's values, smallest first; none for a regression."""
        return list(self.facts["classes"])

    @property
    def label_type(self) -> pa.DataType:
        """The label's Arrow type."""
        alias: Any = self.facts["label_type"]
        found: pa.DataType = pa.type_for_alias(alias)
        return found

    @cached_property
    def options(self) -> Options:
        """The options, defaults filled in."""
        return Options(self.type, self.facts["options"])

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """What turns rows into a matrix."""
        facts = self.facts["preprocessing"]
        return Preprocessor([Feature(**feature) for feature in facts["features"]], facts["encoding"])

    @cached_property
    def transform(self) -> Transform | None:
        """The TRANSFORM clause with what it learned; None when the statement had none."""
        facts = self.facts["transform"]
        return Transform.from_facts(facts) if facts else None

    @cached_property
    def estimator(self) -> Estimator:
        """What turns a matrix into values or logits."""
        return load(self.folder, self.options)

    @property
    def held_out(self) -> pa.Table:
        """Labels and scores of the rows that were held out, or of all rows when none were."""
        return pq.read_table(self.folder / HELD_OUT)

    def probabilities(self, margins: Array) -> Array:
        """Turn logits into probabilities in the order of the classes: (rows, classes)."""
        return probabilities(margins)

    def values(self, predicted: Array, threshold: float | None = None) -> Any:
        """Give predicted labels in the label's own type from probabilities (rows, classes)."""
        return taken(pa.array(self.classes, self.label_type), self.chosen(predicted, threshold))

    def chosen(self, predicted: Array, threshold: float | None = None) -> Array:
        """Give the number of the predicted class; a threshold applies to two classes only."""
        if len(self.classes) == 2:  # noqa: PLR2004 - two classes
            return (predicted[:, 1] >= (0.5 if threshold is None else threshold)).astype(np.int64)
        return np.asarray(predicted.argmax(axis=1))

    def class_numbers(self, table: pa.Table) -> Array:
        """Number the labels of rows by class, -1 for NULL or a value that training did not see."""
        column = table.column(column_named(table, self.label))
        try:
            column = column.cast(self.label_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            here, learned = type_name(column.type), type_name(self.label_type)
            raise BadInput(f"the label {self.label} is {here} in these rows, but the model learned {learned}") from None
        return positions(column, pa.array(self.classes, self.label_type))


def probabilities(margins: Array) -> Array:
    """Turn logits (rows, 1 or classes) into probabilities (rows, classes)."""
    if margins.shape[1] == 1:
        positive = expit(margins[:, 0])
        return np.column_stack([1 - positive, positive])
    return np.asarray(softmax(margins, axis=1))


def save(folder: Path, estimator: Estimator) -> None:
    """Write what was learned into a folder."""
    if isinstance(estimator, Trees):
        estimator.booster.save_model(folder / "trees.ubj")
    elif isinstance(estimator, Network):
        arrays: dict[str, Any] = {
            f"{kind}{i}": a for i, layer in enumerate(estimator.layers) for kind, a in zip("wb", layer, strict=True)
        }
        np.savez(folder / "network.npz", **arrays)
    else:
        np.savez(folder / "linear.npz", weights=estimator.weights, intercepts=estimator.intercepts)


def load(folder: Path, options: Options) -> Estimator:
    """Read what was learned."""
    if (folder / "linear.npz").exists():
        with np.load(folder / "linear.npz") as arrays:
            return Linear(arrays["weights"], arrays["intercepts"])
    if (folder / "network.npz").exists():
        with np.load(folder / "network.npz") as arrays:
            layers = [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(len(arrays.files) // 2)]
        return Network(layers, options["ACTIVATION_FN"])
    return trees.read(folder / "trees.ubj")


def contributions(model: Model, table: pa.Table, *, approximate: bool = False, steps: int | None = None) -> Array:
    """Give each feature's share in the margins, the bias last: (rows, outputs, features + 1)."""
    matrix, estimator = model.preprocessor.matrix(table), model.estimator
    if isinstance(estimator, Trees):
        by_column = estimator.contributions(matrix, approximate=approximate)
    elif isinstance(estimator, Network):
        by_column = estimator.contributions(matrix, steps=steps or model.options["INTEGRATED_GRADIENTS_NUM_STEPS"])
    else:
        rows = spelled_out(matrix)
        bias = np.broadcast_to(estimator.intercepts[None, :, None], (len(rows), len(estimator.intercepts), 1))
        by_column = np.concatenate([rows[:, None, :] * estimator.weights[None], bias], axis=2)
    found = np.zeros((*by_column.shape[:2], len(model.preprocessor.features) + 1))
    for index, column in enumerate(model.preprocessor.columns):
        found[:, :, column.feature] += by_column[:, :, index]
    found[:, :, -1] = by_column[:, :, -1]
    return found


def read_model(folder: Path) -> Model:
    """Read a version of a model."""
    return Model(folder, json.loads((folder / "model.json").read_text(encoding="utf-8")))


def preprocessing_facts(preprocessor: Preprocessor) -> dict[str, Any]:
    """Write a preprocessor as facts for model.json."""
    return {"encoding": preprocessor.encoding, "features": [asdict(feature) for feature in preprocessor.features]}
