"""The spend model as it is saved: what it answers to whatever it is asked, and its fast form the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.features.online import NUMBERS, TEXTS, missing_inputs
from questline_core.spend.arrays import Predictions, read_examples

pytestmark = pytest.mark.timeout(600)  # the fixtures train for half a minute of CPU

REQUEST = missing_inputs() | {"event_name": "level_fail", "country": "Peru", "fails_in_row": 3.0, "spends": 2.0}


@pytest.fixture(scope="module")
def ask(model: Path) -> Callable[..., dict[str, list[float]]]:
    """Ask the saved model with some inputs changed, one row for each value."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model / "saved_model"))

    def asked(**changed: list[Any]) -> dict[str, list[float]]:
        rows = max((len(values) for values in changed.values()), default=1)
        columns = {name: [value] * rows for name, value in REQUEST.items()} | changed
        numbers = {name: tf.constant(columns[name], tf.float32) for name in NUMBERS}
        texts = {name: tf.constant(columns[name], tf.string) for name in TEXTS}
        answers = loaded.signatures["serving_default"](**numbers, **texts)
        return {name: answer.numpy().tolist() for name, answer in answers.items()}

    asked.keep = loaded  # type: ignore[attr-defined] # the signature lives only as long as what was loaded
    return asked


def ask_fast(model: Path, inputs: Mapping[str, Any]) -> Any:
    from questline_core.models.fast import opened

    numbers = np.array([inputs[name] for name in NUMBERS], np.float32)
    return opened((model / "model.onnx").read_bytes())(numbers, np.array([inputs[name] for name in TEXTS], object))


@cache
def golden(file: Path) -> Any:
    return json.loads(file.read_text(), parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


def test_the_signature_has_a_vector_for_each_input_and_output(model: Path) -> None:
    import tensorflow as tf

    signature = tf.saved_model.load(str(model / "saved_model")).signatures["serving_default"]

    inputs = {
        name: (spec.dtype.name, spec.shape.rank) for name, spec in signature.structured_input_signature[1].items()
    }
    outputs = {name: (spec.dtype.name, spec.shape.rank) for name, spec in signature.structured_outputs.items()}
    assert inputs == dict.fromkeys(NUMBERS, ("float32", 1)) | dict.fromkeys(TEXTS, ("string", 1))
    assert outputs == dict.fromkeys(("value", "lower_bound", "upper_bound", "probability"), ("float32", 1))
    told = golden(model / "training.json")["signature"]
    assert told["inputs"] == dict.fromkeys(NUMBERS, "FP32") | dict.fromkeys(TEXTS, "BYTES")
    assert set(told["outputs"]) == set(outputs)


def test_a_fresh_process_answers_golden_requests_as_training_did(model: Path) -> None:
    program = """
import json, sys
import numpy as np, tensorflow as tf
golden = json.load(open(sys.argv[1] + "/golden.json"))
loaded = tf.saved_model.load(sys.argv[1] + "/saved_model")
for one in golden:
    inputs = {
        name: tf.constant([value]) if isinstance(value, str) else tf.constant(np.array([value], np.float32))
        for name, value in one["inputs"].items()
    }
    answers = loaded.signatures["serving_default"](**inputs)
    for name, expected in one["outputs"].items():
        assert abs(float(answers[name][0]) - expected) <= 1e-6 * abs(expected), (name, answers[name], expected)
print(len(golden))
"""
    done = subprocess.run([sys.executable, "-c", program, str(model)], capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "20", done.stderr[-2000:]


def test_the_fast_form_gives_the_same_answers_whatever_is_asked(model: Path, examples: Path) -> None:
    from questline_core.spend.saved import ask as ask_all

    odd = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-3, 3.4e38]
    rows = read_examples(examples / "eval.parquet")
    for number, name in enumerate(NUMBERS):
        rows.inputs[name][len(odd) * number : len(odd) * (number + 1)] = odd
    for number, name in enumerate(TEXTS):
        rows.inputs[name][3 * number : 3 * number + 3] = ["never seen", "\x00", "ж" * 1000]

    expected = ask_all(model, rows)
    answers = ask_fast(model, rows.inputs)

    for name, answer in zip(Predictions.__dataclass_fields__, answers, strict=True):
        assert answer == pytest.approx(getattr(expected, name), rel=1e-6, abs=1e-6)
    assert ask_fast(model, {name: column[:0] for name, column in rows.inputs.items()}).shape == (4, 0)


def test_a_fast_form_that_differs_from_the_golden_answers_is_not_written(model: Path, tmp_path: Path) -> None:
    import onnx

    from questline_core.spend.fast import agrees

    answers = golden(model / "golden.json")
    graph = (model / "model.onnx").read_bytes()
    other = onnx.load_from_string(graph)
    for one in other.graph.initializer:
        if (levels := onnx.numpy_helper.to_array(one)).shape == (2,):
            one.CopyFrom(onnx.numpy_helper.from_array(levels + 1e-4, one.name))

    assert agrees(graph, answers)
    assert not agrees(other.SerializeToString(), answers)


def test_golden_requests_are_plain_json_and_hold_one_of_which_nothing_is_known(model: Path) -> None:
    requests = golden(model / "golden.json")

    assert all(set(one["inputs"]) == {*NUMBERS, *TEXTS} for one in requests)
    assert set(requests[-1]["inputs"].values()) == {None, ""}
    assert len({one["outputs"]["value"] for one in requests}) > 15


def test_an_answer_does_not_depend_on_the_rows_beside_it(ask: Callable[..., dict[str, list[float]]]) -> None:
    spends = [float(number) for number in range(33)]

    together = ask(spends=spends)

    for name, answers in together.items():
        assert answers == [ask(spends=[one])[name][0] for one in spends]


def test_the_value_lies_between_its_bounds(examples: Path, model: Path) -> None:
    from questline_core.spend.saved import ask as ask_all

    answers = ask_all(model, read_examples(examples / "eval.parquet"))

    assert (answers.lower_bound >= 0).all()
    assert (answers.lower_bound <= answers.value).all()
    assert (answers.value <= answers.upper_bound).all()
    assert ((answers.probability > 0) & (answers.probability < 1)).all()


def test_it_answers_whatever_is_missing_unseen_or_absurd(ask: Callable[..., dict[str, list[float]]]) -> None:
    numbers = [float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 3.4e38]

    for name in NUMBERS:
        answers = ask(**{name: numbers})
        assert all(np.isfinite(answer).all() for answer in answers.values()), name
    for name in TEXTS:
        answers = ask(**{name: ["", "never seen", "ж" * 1000, "\x00"]})
        assert all(np.isfinite(answer).all() for answer in answers.values()), name
        assert answers["value"][1] == answers["value"][2] == answers["value"][3]


def test_what_lies_beyond_all_that_was_learned_from_counts_as_the_farthest_of_it(
    ask: Callable[..., dict[str, list[float]]], examples: Path
) -> None:
    most = float(read_examples(examples / "train.parquet").inputs["spends"].max())

    before, at, beyond = ask(spends=[most - 1, most, 10 * most])["probability"]

    assert before < at == beyond


def test_an_input_that_was_never_known_and_words_that_are_all_rare_teach_nothing(
    tmp_path: Path, examples: Path, make_examples: Callable[..., Path], trained: Callable[..., Path]
) -> None:
    poor = make_examples(tmp_path / "examples")
    table = pq.read_table(poor / "train.parquet")
    table = table.set_column(table.column_names.index("level_max"), "level_max", pa.array([np.nan] * len(table)))
    table = table.set_column(
        table.column_names.index("country"), "country", pa.array([f"c{row}" for row in range(len(table))])
    )
    pq.write_table(table, poor / "train.parquet")

    requests = golden(trained(poor, tmp_path / "model", epochs=1) / "golden.json")

    assert all(np.isfinite(list(one["outputs"].values())).all() for one in requests)


def test_no_rows_are_no_answers(ask: Callable[..., dict[str, list[float]]]) -> None:
    assert ask(**{name: [] for name in (*NUMBERS, *TEXTS)}) == {
        "value": [],
        "lower_bound": [],
        "upper_bound": [],
        "probability": [],
    }


def test_a_player_of_whom_nothing_is_known_is_answered_like_the_average(
    ask: Callable[..., dict[str, list[float]]], examples: Path
) -> None:
    nothing = {name: [value] for name, value in missing_inputs().items()}
    base_rate = (read_examples(examples / "train.parquet").spend > 0).mean()

    assert ask(**nothing)["probability"][0] == pytest.approx(base_rate, rel=0.5)


def test_what_was_made_to_matter_matters(ask: Callable[..., dict[str, list[float]]]) -> None:
    never, often = ask(spends=[0.0, 4.0])["probability"]
    peru, japan = ask(country=["Peru", "Japan"], spends=[3.0, 3.0])["value"]

    assert often > 3 * never
    assert japan > 1.2 * peru


def test_predictions_have_the_names_of_the_signature() -> None:
    from questline_core.spend.network import OUTPUTS

    assert tuple(Predictions.__dataclass_fields__) == OUTPUTS
