"""What a version folder must hold before its model may answer."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from questline_core.errors import QuestlineError
from questline_core.models.store import checksums
from questline_kserve.tensorflow import tensorflow
from questline_kserve.testing.versions import INPUTS
from questline_kserve.version import Version, column, load_version


def test_an_input_that_is_not_given_counts_as_not_known(store: Path) -> None:
    version = load_version(str(store / "v1"))

    answers = version.predict({"country": np.array([b"NL", "BE"], object)})

    assert answers["value"].tolist() == [1000.0, 0.0]
    assert answers["value"].dtype == np.float32


def test_a_file_url_names_the_same_folder(store: Path) -> None:
    assert load_version(f"file://{store / 'v2'}").revision == "v2"


def test_values_of_a_column_that_are_none_are_not_known() -> None:
    assert math.isnan(column("FP32", [1, None])[1])
    assert column("BYTES", ["a", None]).tolist() == ["a", ""]


def test_a_number_too_large_for_the_model_becomes_infinite() -> None:
    assert column("FP32", [1e300, True]).tolist() == [math.inf, 1.0]


@pytest.mark.parametrize(("datatype", "value"), [("FP32", "1"), ("FP32", [1]), ("BYTES", 1), ("BYTES", b"x")])
def test_a_value_of_another_kind_is_named(datatype: str, value: Any) -> None:
    with pytest.raises(ValueError, match="is not a"):
        column(datatype, [value])


@pytest.fixture
def copied(store: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies the version v1 and writes other content into one of its files."""

    def copy(file: str, content: Any) -> Path:
        folder = tmp_path / "v1"
        shutil.copytree(store / "v1", folder)
        (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    return copy


@pytest.mark.parametrize(
    ("golden", "says"),
    [
        ("", "holds no golden requests for this model"),
        ([], "nothing shows that the model answers as it did in training"),
        ([{"inputs": {}, "outputs": {"value": 0.0}}], "nothing shows"),
        ([{"inputs": {"events": 1.0}, "outputs": {}}], "nothing shows"),
        ([{"inputs": {"colour": 1.0}, "outputs": {"value": 0.0}}], "KeyError: 'colour'"),
        ([{"inputs": {"events": "x"}, "outputs": {"value": 0.0}}], "'x' is not a number"),
        ([{"inputs": {"events": 1.0}, "outputs": {"churn": 0.0}}], "golden request 0, churn is nan and was 0.0"),
        ([{"inputs": {"events": 1.0}, "outputs": {"value": 1.0001}}], "value is 1.0 and was 1.0001 in training"),
        ([{"inputs": {"events": 1.0}, "outputs": {"value": None}}], "does not load"),
    ],
)
def test_a_version_whose_golden_answers_are_not_met_is_refused(
    copied: Callable[..., Path], golden: Any, says: str
) -> None:
    folder = copied("golden.json", golden)

    with pytest.raises(QuestlineError, check=lambda error: says in str(error)):
        load_version(str(folder))


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ([], "does not load"),
        ({"name": "spend", "version": "v1"}, "does not load"),
        ({"name": "spend", "version": "v1", "signature": {"inputs": ["events"]}}, "does not load"),
        ({"name": "spend", "version": "v1", "signature": {"inputs": {"events": "FP32"}}}, "describes the inputs"),
        (
            {"name": "spend", "version": "v1", "signature": {"inputs": INPUTS, "outputs": {"value": "FP32"}}},
            "describes the outputs",
        ),
        (
            {"name": "spend", "version": "v1", "signature": {"inputs": {**INPUTS, "events": "BYTES"}}},
            "describes the inputs",
        ),
    ],
)
def test_a_version_whose_description_does_not_fit_is_refused(
    copied: Callable[..., Path], description: Any, says: str
) -> None:
    folder = copied("model.json", description)

    with pytest.raises(QuestlineError, check=lambda error: says in str(error)):
        load_version(str(folder))


def test_a_version_with_a_file_that_was_not_published_is_refused(copied: Callable[..., Path]) -> None:
    folder = copied("metrics.json", "{}")
    told = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(told | {"files": checksums(folder) | {"metrics.json": "0" * 64}}))

    with pytest.raises(QuestlineError, match=r"metrics.json is not the file that was published"):
        load_version(str(folder))


def _version(folder: Path, spec: Any, answer: Callable[[Any], Any], golden: Any, *, output: str = "FP32") -> Version:
    """Write and load a version whose model has the one input x and the one output y."""
    tf = tensorflow()
    module = tf.Module()
    module.answer = tf.function(lambda x: {"y": answer(x)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder / "saved_model"), signatures={"serving_default": module.answer})
    kind = "BYTES" if spec.dtype == tf.string else "FP32"
    told = {"name": "m", "version": "v1", "signature": {"inputs": {"x": kind}, "outputs": {"y": output}}}
    (folder / "model.json").write_text(json.dumps(told))
    (folder / "golden.json").write_text(json.dumps([{"inputs": {"x": golden[0]}, "outputs": {"y": golden[1]}}]))
    return load_version(str(folder))


def test_a_model_may_have_only_numbers_or_only_texts(tmp_path: Path) -> None:
    tf = tensorflow()
    numbers = _version(tmp_path / "1", tf.TensorSpec([None], tf.float32, "x"), lambda x: x + 1, (1.0, 2.0))
    texts = _version(
        tmp_path / "2",
        tf.TensorSpec([None], tf.string, "x"),
        lambda x: tf.cast(tf.strings.length(x), tf.float32),
        ("abc", 3.0),
    )

    assert numbers.inputs == {"x": "FP32"}
    assert texts.predict({"x": np.array(["", b"ab"], object)})["y"].tolist() == [0.0, 2.0]


def test_a_signature_that_no_protocol_can_ask_is_refused(tmp_path: Path) -> None:
    tf = tensorflow()
    with pytest.raises(QuestlineError, match="every input and output must be float32 or string"):
        _version(tmp_path / "1", tf.TensorSpec([None, 2], tf.float32, "x"), lambda x: x[:, 0], (1.0, 2.0))
    with pytest.raises(QuestlineError, match="every input and output must be float32 or string"):
        _version(tmp_path / "2", tf.TensorSpec([None], tf.int64, "x"), lambda x: tf.cast(x, tf.float32), (1, 1.0))
    with pytest.raises(QuestlineError, match=r"output 'y' of .* is text"):
        _version(tmp_path / "3", tf.TensorSpec([None], tf.string, "x"), lambda x: x, ("a", 1.0), output="BYTES")
