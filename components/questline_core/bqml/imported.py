"""Imported TensorFlow models: a SavedModel copied in, and asked through its serving signature."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from questline_core.bqml.options import Options
from questline_core.errors import BadInput
from questline_core.places import local_path
from questline_core.warehouse.columns import type_name

_SIGNATURE = "serving_default"


def copy(folder: Path, options: Options, statement: str) -> Mapping[str, Any]:
    """Copy the SavedModel that MODEL_PATH names; gives the facts of the model.

    Raises:
        BadInput: no SavedModel with a serving signature lies there.
    """
    try:
        source = local_path(str(options["MODEL_PATH"]).rstrip("*"))
    except BadInput as error:
        raise options.wrong("MODEL_PATH", str(error)) from None
    if not (source / "saved_model.pb").exists():
        raise options.wrong(
            "MODEL_PATH", f"there is no SavedModel in {source}; MODEL_PATH names the folder that holds saved_model.pb"
        )
    try:
        signatures = _load(source).signatures
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise options.wrong(
            "MODEL_PATH", f"the SavedModel in {source} cannot be read ({_first_line(error)})"
        ) from error
    if _SIGNATURE not in signatures:
        raise options.wrong(
            "MODEL_PATH", f"the SavedModel in {source} has no signature {_SIGNATURE}; export it again with one"
        )
    shutil.copytree(source, folder / "saved_model")
    return {"statement": statement, "options": {"MODEL_TYPE": options.model_type, **options.given}}


@dataclass(frozen=True, slots=True)
class Imported:
    """A SavedModel in the store."""

    folder: Path
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """DATASET.MODEL."""
        return str(self.facts["name"])

    def predict(self, rows: pa.Table) -> pa.Table:
        """Ask the serving signature: its outputs, then the rows' own columns.

        Raises:
            BadInput: the rows lack an input of the signature, or hold it in another type.
        """
        import tensorflow as tf  # noqa: PLC0415 - slow to load, and needed for imported models only

        signature = _load(self.folder / "saved_model").signatures[_SIGNATURE]
        inputs = {name: _tensor(rows, name, spec) for name, spec in signature.structured_input_signature[1].items()}
        try:
            answer = signature(**inputs)
        except tf.errors.OpError as error:
            raise BadInput(f"{self.name} cannot answer for these rows ({_first_line(error)})") from error
        columns = {name: _column(tensor.numpy()) for name, tensor in sorted(answer.items())}
        for name in rows.column_names:
            columns.setdefault(name, rows.column(name))
        return pa.table(columns)


def _load(folder: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    return tf.saved_model.load(str(folder))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _tensor(rows: pa.Table, name: str, spec: Any) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    if name not in rows.column_names:
        raise BadInput(
            f"the model's input {name} is not a column of the rows; they have {', '.join(rows.column_names)}"
        )
    try:
        values = tf.constant(rows.column(name).to_pylist(), dtype=spec.dtype)
    except (TypeError, ValueError):
        raise BadInput(
            f"the column {name} is {type_name(rows.column(name).type)}; the model wants {spec.dtype.name} without NULLs"
        ) from None
    missing = (spec.shape.rank or 1) - values.shape.rank
    return tf.reshape(values, [*values.shape, *([1] * missing)]) if missing > 0 else values


def _column(values: np.ndarray[Any, Any]) -> Any:
    flat = values.astype(np.float64) if values.dtype.kind == "f" else values
    flat = np.char.decode(flat.astype(bytes)) if flat.dtype.kind == "O" else flat
    return pa.array(flat.tolist())
