"""The spend model: trained, saved, asked and judged, on made-up examples with a known rule."""

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

from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS, missing_inputs
from questline_core.models.store import publish
from questline_core.spend.arrays import Predictions, read_examples
from questline_core.spend.evaluation import Evaluation, evaluate
from questline_core.spend.examples import SCHEMA
from questline_core.spend.gate import judge

pytestmark = pytest.mark.timeout(600)  # the fixtures train for half a minute of CPU

FACTS = {"data_version": "d7", "horizon_hours": 24, "holdout_days": 7, "train": 4000, "train_positives": 1}
REQUEST = missing_inputs() | {"event_name": "level_fail", "country": "Peru", "fails_in_row": 3.0, "spends": 2.0}


def make_examples(folder: Path, *, shuffled: bool = False, base_logit: float = -4.0) -> Path:
    """Write examples of which those with earlier spends and with fails spend more, and more in Japan."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(11)
    for name, rows in (("train", 4000), ("eval", 2000)):
        columns: dict[str, Any] = {number: random.gamma(1.0, 5.0, rows) for number in NUMBERS}
        columns["spends"] = random.poisson(0.7, rows).astype(float)
        columns["fails_in_row"] = random.poisson(1.0, rows).astype(float)
        columns["level_max"][random.random(rows) < 0.5] = np.nan
        columns |= {text: random.choice(["a", "b", ""], rows) for text in TEXTS}
        columns["country"] = random.choice(["Japan", "Peru", "rare"], rows, p=[0.3, 0.699, 0.001])
        chance = 1 / (1 + np.exp(-(base_logit + 1.2 * columns["spends"] + 0.5 * columns["fails_in_row"])))
        amount = random.gamma(3, np.where(columns["country"] == "Japan", 4.0, 1.0)) + 0.1
        spend = np.where(random.random(rows) < chance, amount, 0.0)
        columns["spend"] = random.permutation(spend) if shuffled else spend
        columns["player"] = [f"p{number}" for number in random.integers(0, rows // 3, rows)]
        columns["at_micros"] = np.arange(rows)
        pq.write_table(pa.table(columns).select(SCHEMA.names).cast(SCHEMA), folder / f"{name}.parquet")
    (folder / "examples.json").write_text(json.dumps(FACTS))
    return folder


def trained(examples: Path, model: Path, *, epochs: int = 8) -> Path:
    from questline_core.spend.training import train

    train(examples, model, epochs=epochs, seed=3)
    return model


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_examples(tmp_path_factory.mktemp("spend") / "examples")


@pytest.fixture(scope="module")
def model(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(examples, tmp_path_factory.mktemp("spend") / "model")


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


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spend") / "report"


@pytest.fixture(scope="module")
def evaluation(model: Path, examples: Path, report: Path) -> Evaluation:
    return evaluate(model, examples, report)


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


def test_an_input_that_was_never_known_and_words_that_are_all_rare_teach_nothing(
    tmp_path: Path, examples: Path
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


def test_it_beats_the_constant_and_ships(evaluation: Evaluation) -> None:
    verdict = judge(evaluation, None)

    assert verdict.ship, verdict.reasons
    assert evaluation.roc_auc.low > 0.7
    assert evaluation.model.rmse < evaluation.constant.rmse
    assert evaluation.constant.roc_auc == 0.5


def test_predictions_add_up_to_what_came(model: Path, examples: Path) -> None:
    from questline_core.spend.saved import ask as ask_all

    learned = read_examples(examples / "train.parquet")
    answers = ask_all(model, learned)

    assert (learned.spend > 0).mean() < 0.15
    assert answers.probability.mean() == pytest.approx((learned.spend > 0).mean(), rel=1e-4)
    assert answers.value.sum() == pytest.approx(learned.spend.sum(), rel=0.1)


def test_a_probability_is_what_it_says(evaluation: Evaluation) -> None:
    for one in evaluation.calibration:
        luck = 3 * np.sqrt(one.predicted * (1 - one.predicted) / one.rows)
        assert one.actual == pytest.approx(one.predicted, abs=luck)


def test_the_bounds_hold_what_they_promise(evaluation: Evaluation) -> None:
    assert evaluation.interval.coverage_of_spenders == pytest.approx(0.8, abs=0.05)
    assert evaluation.interval.coverage > 0.9


def test_a_model_of_shuffled_labels_does_not_ship(tmp_path: Path) -> None:
    shuffled = make_examples(tmp_path / "examples", shuffled=True)
    found = evaluate(trained(shuffled, tmp_path / "model", epochs=3), shuffled, tmp_path / "report")

    verdict = judge(found, None)

    assert not verdict.ship
    assert any("does not beat the base rate beyond doubt" in reason for reason in verdict.reasons)


def test_the_same_examples_and_seed_give_the_same_model(examples: Path, model: Path, tmp_path: Path) -> None:
    again = trained(examples, tmp_path / "again")

    assert golden(again / "golden.json") == golden(model / "golden.json")


def test_a_published_version_is_judged_like_the_training(
    model: Path, examples: Path, report: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    version = publish(model, report / "metrics.json", store=str(tmp_path), name="spend", lineage={"data_version": "d7"})

    assert evaluate(Path(version.uri), examples, tmp_path / "report") == evaluation
    assert version.metadata["lineage"]["seed"] == 3


def test_the_report_is_one_page_that_asks_the_network_for_nothing(evaluation: Evaluation, report: Path) -> None:
    page = (report / "report.html").read_text()
    own = page.replace(page[page.index("<script>") : page.index("</script>")], "")

    assert Evaluation.from_json((report / "metrics.json").read_text()) == evaluation
    assert page.count("plotly.js v") == 1
    assert "src=" not in own
    assert "<link" not in own
    assert "$" not in own[: own.index("<script")]
    for fact in (
        "d7",
        f"{evaluation.model.log_loss:.4f}",
        f"{evaluation.roc_auc.value:.3f}",
        "Is a probability what it",
        "trees on our features",
        "players of the training",
        "What the model looks at",
        "Learning",
        "Would more examples help?",
    ):
        assert fact in own


def test_examples_without_spend_teach_nothing(tmp_path: Path) -> None:
    examples = make_examples(tmp_path / "examples", base_logit=-50.0)

    with pytest.raises(BadInput, match="has any spend, so there is nothing to learn"):
        trained(examples, tmp_path / "model")
    with pytest.raises(BadInput, match="needs rows with spend and rows without"):
        evaluate(tmp_path / "model", examples, tmp_path / "report")


def test_each_network_leaves_out_its_share_of_the_players_and_of_the_spends(examples: Path) -> None:
    from questline_core.spend.training import _left_out

    data = read_examples(examples / "train.parquet")
    left_out = _left_out(data, 3)

    by_player = {(player, member) for player, member in zip(data.players, left_out.tolist(), strict=True)}
    assert len(by_player) == len(set(data.players))
    for rows in (np.ones(len(data), bool), data.spend > 0):
        assert np.bincount(left_out[rows]) / rows.sum() == pytest.approx([0.25] * 4, abs=0.03)
    assert (left_out == _left_out(data, 3)).all()


def test_examples_of_a_few_players_only_teach_nothing_of_others(tmp_path: Path) -> None:
    few = make_examples(tmp_path / "examples")
    table = pq.read_table(few / "train.parquet")
    players = pa.array([f"p{row % 3}" for row in range(len(table))])
    pq.write_table(table.set_column(table.column_names.index("player"), "player", players), few / "train.parquet")

    with pytest.raises(BadInput, match="of 3 players and 4 are needed"):
        trained(few, tmp_path / "model")


def test_a_folder_without_examples_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"train\.parquet holds no examples of the spend model"):
        trained(tmp_path, tmp_path / "model")


def test_a_folder_without_a_model_is_told(tmp_path: Path, examples: Path) -> None:
    with pytest.raises(BadInput, match="holds no model that can be asked"):
        evaluate(tmp_path, examples, tmp_path / "report")


def test_predictions_have_the_names_of_the_signature() -> None:
    from questline_core.spend.network import OUTPUTS

    assert tuple(Predictions.__dataclass_fields__) == OUTPUTS


def test_the_card_tells_what_the_model_is_for_and_how_good_it_is(evaluation: Evaluation, report: Path) -> None:
    card = (report / "model_card.md").read_text()

    assert "$" not in card
    for fact in ("next 24 hours", "data version d7", f"{evaluation.model.log_loss:.4f}", "trees on our features"):
        assert fact in card


def test_what_was_made_to_matter_is_found_to_matter(evaluation: Evaluation) -> None:
    assert list(evaluation.importance)[:2] == ["spends", "fails_in_row"]
