"""The options of CREATE MODEL: defaults as documented, and refusals that say where and what is allowed."""

from __future__ import annotations

import pytest

from questline_core.bqml.options import MODEL_TYPES, NOT_HERE, OPTIONS, Options, read_options
from questline_core.bqml.text import Reader, Text
from questline_core.errors import BadInput


def read(options: str, **parameters: object) -> Options:
    return read_options(Reader(Text(f"({options})"), parameters))


@pytest.mark.parametrize(
    ("model_type", "defaults"),
    [
        ("LINEAR_REG", {"MAX_ITERATIONS": 20, "L2_REG": 0.0, "OPTIMIZE_STRATEGY": "AUTO_STRATEGY", "FIT_INTERCEPT": True, "CATEGORY_ENCODING_METHOD": "ONE_HOT_ENCODING"}),
        ("LOGISTIC_REG", {"EARLY_STOP": True, "MIN_REL_PROGRESS": 0.01, "AUTO_CLASS_WEIGHTS": False, "LEARN_RATE_STRATEGY": "LINE_SEARCH", "DATA_SPLIT_METHOD": "AUTO_SPLIT"}),
        ("BOOSTED_TREE_CLASSIFIER", {"MAX_TREE_DEPTH": 6, "LEARN_RATE": 0.3, "L2_REG": 1.0, "SUBSAMPLE": 1.0, "CATEGORY_ENCODING_METHOD": "LABEL_ENCODING", "MIN_TREE_CHILD_WEIGHT": 1}),
        ("DNN_REGRESSOR", {"LEARN_RATE": 0.001, "BATCH_SIZE": 32, "OPTIMIZER": "ADAM", "ACTIVATION_FN": "RELU", "DROPOUT": 0.0, "INTEGRATED_GRADIENTS_NUM_STEPS": 15}),
    ],
)  # fmt: skip
def test_defaults_are_those_of_the_model_type(model_type: str, defaults: dict[str, object]) -> None:
    options = read(f"MODEL_TYPE = '{model_type}'")

    assert {name: options[name] for name in defaults} == defaults


def test_values_are_literals_of_any_spelling_and_parameters() -> None:
    options = read(
        "model_type=\"logistic_reg\", labels=['won'], class_weights=[STRUCT('a' AS label, 2 AS weight), STRUCT('b', .5)]"
    )

    assert options["INPUT_LABEL_COLS"] == ["won"]
    assert options["CLASS_WEIGHTS"] == [{"label": "a", "weight": 2}, ("b", 0.5)]
    assert read("MODEL_TYPE='LINEAR_REG', L2_REG=@strength", strength=1e-3)["L2_REG"] == 0.001


REFUSED = {
    "MODEL_TYPE='LINEAR_REG', SEED=1": "there is no option SEED; the options are ACTIVATION_FN, APPROX",
    "MODEL_TYPE='LINEAR_REG', MAX_TREE_DEPTH=3": "column 27: LINEAR_REG has no option MAX_TREE_DEPTH; its options are",
    "MODEL_TYPE='LINEAR_REG', AUTO_CLASS_WEIGHTS=TRUE": "LINEAR_REG has no option AUTO_CLASS_WEIGHTS",
    "MODEL_TYPE='LINEAR_REG', L2_REG='much'": "column 34: the option L2_REG takes FLOAT64, not 'much'",
    "MODEL_TYPE='LINEAR_REG', MAX_ITERATIONS=1.5": "the option MAX_ITERATIONS takes INT64, not 1.5",
    "MODEL_TYPE='LINEAR_REG', L2_REG=-1": "the option L2_REG is a number from 0, not -1",
    "MODEL_TYPE='BOOSTED_TREE_REGRESSOR', SUBSAMPLE=2": "the option SUBSAMPLE is a number from 0 to 1, not 2",
    "MODEL_TYPE='LINEAR_REG', L2_REG=1, L2_REG=2": "the option L2_REG is given twice",
    "MODEL_TYPE='LINEAR_REG', DATA_SPLIT_METHOD='HALVES'": "supported are AUTO_SPLIT, RANDOM, CUSTOM, SEQ, NO_SPLIT",
    "MODEL_TYPE='LINEAR_REG', DATA_SPLIT_METHOD='SEQ'": "SEQ needs the option DATA_SPLIT_COL",
    "MODEL_TYPE='LINEAR_REG', DATA_SPLIT_COL='day'": "DATA_SPLIT_COL goes with DATA_SPLIT_METHOD 'CUSTOM' or 'SEQ'",
    "MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['a', 'b']": "INPUT_LABEL_COLS names exactly one column",
    "MODEL_TYPE='LINEAR_REG', LEARN_RATE=0.1": "LEARN_RATE goes with LEARN_RATE_STRATEGY 'CONSTANT'",
    "MODEL_TYPE='LINEAR_REG', CATEGORY_ENCODING_METHOD='TARGET_ENCODING'": "LINEAR_REG encodes categories by ONE_HOT_ENCODING, DUMMY_ENCODING",
    "MODEL_TYPE='LINEAR_REG', OPTIMIZE_STRATEGY='NORMAL_EQUATION', L1_REG=1": "NORMAL_EQUATION cannot be combined with L1_REG",
    "MODEL_TYPE='BOOSTED_TREE_CLASSIFIER', CATEGORY_ENCODING_METHOD='DUMMY_ENCODING'": "encodes categories by LABEL_ENCODING",
    "MODEL_TYPE='LOGISTIC_REG', AUTO_CLASS_WEIGHTS=TRUE, CLASS_WEIGHTS=[STRUCT('a', 1)]": "not both",
    "MODEL_TYPE='DNN_CLASSIFIER', L1_REG=0.1": "L1_REG goes with OPTIMIZER 'ADAGRAD', 'FTRL' or 'SGD', not 'ADAM'",
    "MODEL_TYPE='LINEAR_REG', L2_REG=HPARAM_RANGE(0, 1)": "L2_REG takes one value here: there is no hyperparameter tuning",
    "MODEL_TYPE='LINEAR_REG' L2_REG=1": "expected a comma or ), found 'L2_REG'",
    "MODEL_TYPE='LINEAR_REG', L2_REG=@lost": "the statement uses @lost, but no value was given for it",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_a_wrong_option_is_refused_with_its_place(options: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(options)

    assert REFUSED[options] in str(caught.value)
    assert str(caught.value).startswith("line 1, column ")


@pytest.mark.parametrize("name", NOT_HERE)
def test_an_option_of_bigquery_that_is_missing_here_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadInput, match=f"the option {name} of BigQuery is not supported here: {NOT_HERE[name]}"):
        read(f"MODEL_TYPE='LINEAR_REG', {name}=1")


def test_every_option_belongs_to_known_model_types_and_its_defaults_are_valid() -> None:
    for name, option in OPTIONS.items():
        assert set(option.models) <= set(MODEL_TYPES)
        for model_type in option.models:
            default = option.default_for(model_type)
            assert default is None or not option.choices or default in option.choices, name
