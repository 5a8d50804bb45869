"""The fast form of a model: it answers where it is present and right, and is left out where it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from questline_core.models.store import FAST
from questline_kserve.version import load_version

GRAPH = """
<ir_version: 9, opset_import: ["": 19]>
fast (float[2, rows] numbers, int64[2, rows] words) => (float[4, rows] answers)
<int64[1] first = {0}, int64[1] second = {1}, int64[1] third = {2}, float nil = {0.0}, float thousand = {1000.0}, float scale = {SCALE},
 float twice = {2.0}, float quarter = {0.25}>
{
    events = Gather <axis: int = 0> (numbers, first)
    gap = IsNaN (events)
    known = Where (gap, nil, events)
    country = Slice (words, second, third, first)
    is_nl = Equal (country, first)
    is_new = Equal (country, second)
    from_nl = Where (is_nl, thousand, nil)
    from_new = Where (is_new, quarter, nil)
    scaled = Mul (known, scale)
    value_before = Add (scaled, from_nl)
    value = Add (value_before, from_new)
    nothing = Mul (known, nil)
    lower = Add (nothing, scale)
    upper = Mul (lower, twice)
    probability = Add (nothing, quarter)
    answers = Concat <axis: int = 0> (value, lower, upper, probability)
}
"""
"""What the version v1 answers, and a quarter more for one country, which no golden request has."""
WORDS: list[list[str]] = [[], ["NL", "seen by the fast form only"]]
ONLY_FAST = {"country": np.array(["seen by the fast form only", b"seen by the fast form only", b"\xff"], object)}


@pytest.fixture
def folder(store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(store / "v1", tmp_path / "v1"))


def write_graph(folder: Path, *, off: float = 1.0) -> None:
    scale = json.loads((folder / "golden.json").read_text())[0]["outputs"]["lower_bound"]
    graph = onnx.parser.parse_model(GRAPH.replace("SCALE", repr(scale * off)))
    onnx.helper.set_model_props(graph, {"words": json.dumps(WORDS)})
    (folder / FAST).write_bytes(graph.SerializeToString())


def test_it_answers_where_it_is_present_for_texts_and_bytes(folder: Path) -> None:
    write_graph(folder)

    assert load_version(str(folder)).predict(ONLY_FAST)["value"].tolist() == [0.25, 0.25, 0.0]


def test_without_one_the_savedmodel_answers(folder: Path) -> None:
    assert load_version(str(folder)).predict(ONLY_FAST)["value"].tolist() == [0.0, 0.0, 0.0]


def test_one_that_is_a_little_off_or_damaged_is_left_out(folder: Path) -> None:
    write_graph(folder, off=1 + 1e-5)
    assert load_version(str(folder)).predict(ONLY_FAST)["value"].tolist() == [0.0, 0.0, 0.0]

    (folder / FAST).write_bytes(b"\0damaged")
    assert load_version(str(folder)).predict(ONLY_FAST)["value"].tolist() == [0.0, 0.0, 0.0]
