"""EXPORT MODEL: a SavedModel that does its own preprocessing, or a booster with a sidecar that tells how."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from questline_core import places
from questline_core.bqml.imported import Imported
from questline_core.bqml.linear import Linear
from questline_core.bqml.model import Model
from questline_core.bqml.network import Network
from questline_core.bqml.preprocessing import Feature
from questline_core.bqml.text import Reader
from questline_core.bqml.trees import Trees
from questline_core.errors import BadInput


def read_uri(reader: Reader) -> tuple[str, str]:
    """Read OPTIONS(URI = '…'); gives the URI and its place in the text.

    Raises:
        BadInput: there is another option, or no URI.
    """
    opening = reader.text.place(reader.index)
    found, places_of = reader.options(_known, lambda _: reader.value())
    uri = found.get("URI")
    if not isinstance(uri, str) or not uri:
        raise BadInput(f"{places_of.get('URI', opening)}: EXPORT MODEL needs OPTIONS(URI = 'folder')")
    return uri, places_of["URI"]


def _known(name: str, place: str) -> str:
    if name != "URI":
        raise BadInput(f"{place}: EXPORT MODEL has no option {name} here; supported is URI")
    return name


def export_model(model: Model | Imported, uri: str) -> None:
    """Write a model to a folder or bucket.

    Raises:
        BadInput: the model has a feature that TensorFlow's side cannot take, or the place cannot be written.
    """
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside) / "model"
        if isinstance(model, Imported):
            shutil.copytree(model.folder / "saved_model", folder)
        elif isinstance(model.estimator, Trees):
            _booster(model, model.estimator, folder)
        else:
            _saved_model(model, folder)
        try:
            places.deliver(folder, uri)
        except OSError as error:
            raise BadInput(f"cannot write to {uri} ({error.strerror or error})") from None


def _booster(model: Model, trees: Trees, folder: Path) -> None:
    """Write model.bst, its sidecar model_metadata.json and the vocabularies, laid out as BigQuery does."""
    assets = folder / "assets"
    assets.mkdir(parents=True)
    (folder / "model.bst").write_bytes(trees.booster.save_raw("ubj"))
    for feature in model.preprocessor.features:
        if feature.kind in ("category", "many"):
            lines = "".join(f"{name}\n" for name in feature.categories if name is not None)
            (assets / f"{feature.name}.txt").write_text(lines, encoding="utf-8")
    metadata = {
        "model_type": model.type,
        "label_col": model.label,
        "class_names": [str(value) for value in model.classes][::-1],
        "feature_names": [feature.name for feature in model.preprocessor.features],
        "category_encoding_method": model.preprocessor.encoding,
        "features": [_told(feature) for feature in model.preprocessor.features],
    }
    (assets / "model_metadata.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")


def _told(feature: Feature) -> dict[str, Any]:
    told: dict[str, Any] = {"name": feature.name, "kind": feature.kind}
    if feature.kind in ("category", "many"):
        return {**told, "categories": list(feature.categories), "targets": list(feature.targets)}
    return {**told, "null_value": list(feature.mean)}


def _saved_model(model: Model, folder: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - slow to load, and needed for this export only

    module = tf.Module()
    module.tables = {
        feature.name: _table(tf, feature) for feature in model.preprocessor.features if feature.kind == "category"
    }
    specs = {feature.name: _spec(tf, feature) for feature in model.preprocessor.features}

    @tf.function(input_signature=[specs])  # type: ignore[untyped-decorator] # TensorFlow has no types
    def serve(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        blocks = [_block(tf, f, inputs[f.name], module.tables.get(f.name)) for f in model.preprocessor.features]
        return _outputs(tf, model, _margins(tf, model.estimator, tf.concat(blocks, axis=1)))

    module.serve = serve
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def _spec(tf: Any, feature: Feature) -> Any:
    if feature.kind in ("many", "sparse"):
        raise BadInput(f"the feature {feature.name} is an ARRAY, which an exported SavedModel cannot take")
    if feature.kind == "category":
        return tf.TensorSpec([None], tf.string, feature.name)
    return tf.TensorSpec([None] if feature.kind == "number" else [None, len(feature.mean)], tf.float64, feature.name)


def _table(tf: Any, feature: Feature) -> Any:
    names = [name for name in feature.categories if name is not None]
    keys, values = tf.constant(names or [""]), tf.range(max(len(names), 1), dtype=tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value=-1)


def _block(tf: Any, feature: Feature, values: Any, table: Any) -> Any:
    if feature.kind == "category":
        return tf.one_hot(table.lookup(values), len(feature.categories), dtype=tf.float64)
    mean, scale = np.asarray(feature.mean), np.asarray(feature.scale)
    shaped = values[:, None] if feature.kind == "number" else values
    return (tf.where(tf.math.is_nan(shaped), tf.zeros_like(shaped) + mean, shaped) - mean) / scale


def _margins(tf: Any, estimator: Linear | Network | Trees, matrix: Any) -> Any:
    if isinstance(estimator, Linear):
        return tf.matmul(matrix, tf.constant(estimator.weights.T)) + tf.constant(estimator.intercepts)
    assert isinstance(estimator, Network)  # noqa: S101 - boosters are exported by themselves
    functions = {
        "RELU": tf.nn.relu,
        "RELU6": tf.nn.relu6,
        "CRELU": tf.nn.crelu,
        "ELU": tf.nn.elu,
        "SELU": tf.nn.selu,
        "SIGMOID": tf.nn.sigmoid,
        "TANH": tf.nn.tanh,
    }
    for weights, biases in estimator.layers[:-1]:
        matrix = functions[estimator.activation](tf.matmul(matrix, tf.constant(weights)) + tf.constant(biases))
    weights, biases = estimator.layers[-1]
    return tf.matmul(matrix, tf.constant(weights)) + tf.constant(biases)


def _outputs(tf: Any, model: Model, margins: Any) -> Mapping[str, Any]:
    if not model.classes:
        return {f"predicted_{model.label}": margins[:, 0]}
    positive = tf.sigmoid(margins)
    chances = tf.concat([1 - positive, positive], axis=1) if len(model.classes) == 2 else tf.nn.softmax(margins)  # noqa: PLR2004 - two classes
    classes = tf.constant([value if type(value) is int else str(value) for value in model.classes])
    chosen = tf.cast(chances[:, 1] >= 0.5, tf.int32) if len(model.classes) == 2 else tf.argmax(chances, axis=1)  # noqa: PLR2004 - as above
    backwards = tf.reverse(classes, [0])
    return {
        f"predicted_{model.label}": tf.gather(classes, chosen),
        f"{model.label}_probs": tf.reverse(chances, [1]),
        f"{model.label}_values": tf.tile(backwards[None], [tf.shape(chances)[0], 1]),
    }
