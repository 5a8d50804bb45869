"""Model versions that are small enough to compute by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from questline_core.features.online import NUMBERS, TEXTS

INPUTS = {"events": "FP32", "sessions": "FP32", "event_name": "BYTES", "country": "BYTES"}
SPEND_INPUTS = dict.fromkeys(NUMBERS, "FP32") | dict.fromkeys(TEXTS, "BYTES")
"""What the gateway sends; all of `INPUTS` are among them."""
OUTPUTS = dict.fromkeys(("value", "lower_bound", "upper_bound", "probability"), "FP32")


def write_version(folder: Path, *, scale: float, inputs: Mapping[str, str] = INPUTS) -> Path:
    """Write a version folder whose model answers `value = scale * events + 1000 if country is NL`.

    The lower bound is the scale, so that each answer tells which version gave it; the upper bound is twice that. The
    folder's name is the version.
    """
    _save(folder / "saved_model", scale, inputs)
    golden = [
        {
            "inputs": {"events": 3.0, "sessions": None, "event_name": "level_up", "country": "NL"},
            "outputs": {"value": 3 * scale + 1000, "lower_bound": scale, "upper_bound": 2 * scale, "probability": 0.25},
        },
        {"inputs": {"events": None, "country": ""}, "outputs": {"value": 0.0}},
    ]
    signature = {"inputs": dict(inputs), "outputs": OUTPUTS}
    told = {"name": "spend", "version": folder.name, "signature": signature, "lineage": {}}
    (folder / "model.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    return folder


def write_bad_version(folder: Path, *, like: Path) -> Path:
    """Copy a version under another name and change its first golden answer, so that it must be refused."""
    shutil.copytree(like, folder)
    told = json.loads((like / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps(told | {"version": folder.name}), encoding="utf-8")
    golden = json.loads((like / "golden.json").read_text(encoding="utf-8"))
    golden[0]["outputs"]["value"] += 1
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    return folder


def _save(folder: Path, scale: float, inputs: Mapping[str, str]) -> None:
    from questline_kserve.tensorflow import tensorflow  # noqa: PLC0415 - takes seconds

    tf = tensorflow()

    def answer(*columns: Any) -> dict[str, Any]:
        named = dict(zip(inputs, columns, strict=True))
        events, country = named["events"], named["country"]
        value = scale * tf.where(tf.math.is_nan(events), 0.0, events) + 1000.0 * tf.cast(country == "NL", tf.float32)
        same = tf.fill(tf.shape(value), scale)
        return {"value": value, "lower_bound": same, "upper_bound": 2 * same, "probability": 0 * same + 0.25}

    kinds = {"FP32": tf.float32, "BYTES": tf.string}
    module = tf.Module()
    module.answer = tf.function(
        answer, input_signature=[tf.TensorSpec([None], kinds[datatype], name) for name, datatype in inputs.items()]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.answer})
