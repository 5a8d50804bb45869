"""Every option of CREATE MODEL: its type, its default, the model types that have it, and how a value is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from questline_core.bqml.literals import is_number, spelled
from questline_core.bqml.text import Places, Reader, listed
from questline_core.errors import BadInput

LINEAR = ("LINEAR_REG", "LOGISTIC_REG")
TREES = ("BOOSTED_TREE_CLASSIFIER", "BOOSTED_TREE_REGRESSOR")
NETWORKS = ("DNN_CLASSIFIER", "DNN_REGRESSOR")
CLASSIFIERS = ("LOGISTIC_REG", "BOOSTED_TREE_CLASSIFIER", "DNN_CLASSIFIER")
TRAINED = (*LINEAR, *TREES, *NETWORKS)
IMPORTED = ("TENSORFLOW",)
MODEL_TYPES = (*TRAINED, *IMPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option as BigQuery documents it."""

    kind: str
    """STRING, INT64, FLOAT64, BOOL, ARRAY<STRING>, ARRAY<INT64> or ARRAY<STRUCT<STRING, FLOAT64>>."""
    models: tuple[str, ...] = TRAINED
    default: Any = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    by_family: Mapping[str, Any] | None = None
    """Defaults that differ: keyed by the beginning of the model type."""

    def default_for(self, model_type: str) -> Any:
        """Give the default value for a model type."""
        for family, value in (self.by_family or {}).items():
            if model_type.startswith(family):
                return value
        return self.default


def _fraction(default: float, models: tuple[str, ...] = TREES) -> Option:
    return Option(kind="FLOAT64", models=models, default=default, least=0, most=1)


OPTIONS: Mapping[str, Option] = {
    "MODEL_TYPE": Option(kind="STRING", models=MODEL_TYPES, choices=MODEL_TYPES),
    "MODEL_PATH": Option(kind="STRING", models=IMPORTED),
    "INPUT_LABEL_COLS": Option(kind="ARRAY<STRING>"),
    "LABELS": Option(kind="ARRAY<STRING>"),
    "MAX_ITERATIONS": Option(kind="INT64", default=20, least=1),
    "EARLY_STOP": Option(kind="BOOL", default=True),
    "MIN_REL_PROGRESS": Option(kind="FLOAT64", default=0.01, least=0),
    "DATA_SPLIT_METHOD": Option(
        kind="STRING", default="AUTO_SPLIT", choices=("AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT")
    ),
    "DATA_SPLIT_EVAL_FRACTION": Option(kind="FLOAT64", least=0, most=1),
    "DATA_SPLIT_COL": Option(kind="STRING"),
    "ENABLE_GLOBAL_EXPLAIN": Option(kind="BOOL", default=False),
    "L1_REG": Option(kind="FLOAT64", default=0.0, least=0),
    "L2_REG": Option(kind="FLOAT64", default=0.0, least=0, by_family={"BOOSTED": 1.0}),
    "LEARN_RATE": Option(kind="FLOAT64", default=0.1, least=0, by_family={"BOOSTED": 0.3, "DNN": 0.001}),
    "AUTO_CLASS_WEIGHTS": Option(kind="BOOL", models=CLASSIFIERS, default=False),
    "CLASS_WEIGHTS": Option(kind="ARRAY<STRUCT<STRING, FLOAT64>>", models=CLASSIFIERS),
    "CATEGORY_ENCODING_METHOD": Option(
        kind="STRING",
        models=(*LINEAR, *TREES),
        default="ONE_HOT_ENCODING",
        choices=("ONE_HOT_ENCODING", "DUMMY_ENCODING", "LABEL_ENCODING", "TARGET_ENCODING"),
        by_family={"BOOSTED": "LABEL_ENCODING"},
    ),
    "OPTIMIZE_STRATEGY": Option(
        kind="STRING",
        models=("LINEAR_REG",),
        default="AUTO_STRATEGY",
        choices=("AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT", "NORMAL_EQUATION"),
    ),
    "LEARN_RATE_STRATEGY": Option(
        kind="STRING", models=LINEAR, default="LINE_SEARCH", choices=("LINE_SEARCH", "CONSTANT")
    ),
    "LS_INIT_LEARN_RATE": Option(kind="FLOAT64", models=LINEAR, default=0.1, least=0),
    "FIT_INTERCEPT": Option(kind="BOOL", models=LINEAR, default=True),
    "BOOSTER_TYPE": Option(kind="STRING", models=TREES, default="GBTREE", choices=("GBTREE", "DART")),
    "DART_NORMALIZE_TYPE": Option(kind="STRING", models=TREES, default="TREE", choices=("TREE", "FOREST")),
    "NUM_PARALLEL_TREE": Option(kind="INT64", models=TREES, default=1, least=1),
    "MAX_TREE_DEPTH": Option(kind="INT64", models=TREES, default=6, least=1, most=20),
    "MIN_TREE_CHILD_WEIGHT": Option(kind="INT64", models=TREES, default=1, least=0),
    "MIN_SPLIT_LOSS": Option(kind="FLOAT64", models=TREES, default=0.0, least=0),
    "TREE_METHOD": Option(kind="STRING", models=TREES, default="AUTO", choices=("AUTO", "EXACT", "APPROX", "HIST")),
    "SUBSAMPLE": _fraction(1.0),
    "COLSAMPLE_BYTREE": _fraction(1.0),
    "COLSAMPLE_BYLEVEL": _fraction(1.0),
    "COLSAMPLE_BYNODE": _fraction(1.0),
    "DROPOUT": _fraction(0.0, (*TREES, *NETWORKS)),
    "XGBOOST_VERSION": Option(kind="STRING", models=TREES, default="0.9", choices=("0.9", "1.1")),
    "APPROX_GLOBAL_FEATURE_CONTRIB": Option(kind="BOOL", models=TREES),
    "HIDDEN_UNITS": Option(kind="ARRAY<INT64>", models=NETWORKS),
    "ACTIVATION_FN": Option(
        kind="STRING",
        models=NETWORKS,
        default="RELU",
        choices=("RELU", "RELU6", "CRELU", "ELU", "SELU", "SIGMOID", "TANH"),
    ),
    "OPTIMIZER": Option(
        kind="STRING", models=NETWORKS, default="ADAM", choices=("ADAGRAD", "ADAM", "FTRL", "RMSPROP", "SGD")
    ),
    "BATCH_SIZE": Option(kind="INT64", models=NETWORKS, default=32, least=1, most=8192),
    "INTEGRATED_GRADIENTS_NUM_STEPS": Option(kind="INT64", models=NETWORKS, default=15, least=1, most=30),
    "TF_VERSION": Option(kind="STRING", models=NETWORKS, default="1.15", choices=("1.15", "2.8.0")),
}

NOT_HERE = {
    "WARM_START": "training always starts anew",
    "CALCULATE_P_VALUES": "p-values are not computed",
    "NUM_TRIALS": "there is no hyperparameter tuning",
    "MAX_PARALLEL_TRIALS": "there is no hyperparameter tuning",
    "HPARAM_TUNING_ALGORITHM": "there is no hyperparameter tuning",
    "HPARAM_TUNING_OBJECTIVES": "there is no hyperparameter tuning",
    "DATA_SPLIT_TEST_FRACTION": "there is no hyperparameter tuning, which alone needs test rows",
    "MODEL_REGISTRY": "there is no Vertex AI",
    "VERTEX_AI_MODEL_ID": "there is no Vertex AI",
    "VERTEX_AI_MODEL_VERSION_ALIASES": "there is no Vertex AI",
    "KMS_KEY_NAME": "models are plain files",
}
"""Options that BigQuery has for these model types and that are refused here, each with the reason."""

_ALIASES = {"LABELS": "INPUT_LABEL_COLS"}
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "STRING": lambda value: isinstance(value, str),
    "INT64": lambda value: type(value) is int and abs(value) < 2**63,
    "FLOAT64": is_number,
    "BOOL": lambda value: isinstance(value, bool),
    "ARRAY<STRING>": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "ARRAY<INT64>": lambda value: isinstance(value, list) and all(type(item) is int and item > 0 for item in value),
    "ARRAY<STRUCT<STRING, FLOAT64>>": lambda value: isinstance(value, list) and all(_weight(item) for item in value),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one statement, defaults filled in."""

    model_type: str
    given: Mapping[str, Any]
    places: Places = field(default_factory=dict)

    def wrong(self, name: str, sentence: str) -> BadInput:
        """Make an error about an option, with its place if it was given."""
        return BadInput(f"{self.places[name]}: {sentence}" if name in self.places else sentence)

    def __getitem__(self, name: str) -> Any:
        """Give an option's value, or its default for this model type."""
        return self.given.get(name, OPTIONS[name].default_for(self.model_type))


def read_options(reader: Reader) -> Options:
    """Read OPTIONS(…) of CREATE MODEL.

    Raises:
        BadInput: an option is unknown, belongs to another model type, comes twice or has a wrong value; tells where.
    """
    opening = reader.text.place(reader.index)
    found, places = reader.options(_known, lambda name: _value(reader, name))
    return _for_model_type(opening, found, places)


def _known(name: str, place: str) -> str:
    if name in NOT_HERE:
        raise BadInput(f"{place}: the option {name} of BigQuery is not supported here: {NOT_HERE[name]}")
    if name not in OPTIONS:
        raise BadInput(f"{place}: there is no option {name}; the options are {listed(sorted(OPTIONS))}")
    return _ALIASES.get(name, name)


def _value(reader: Reader, name: str) -> Any:
    option, place = OPTIONS[name], reader.text.place(reader.index)
    if reader.text.word(reader.index).startswith("HPARAM_"):
        raise BadInput(f"{place}: {name} takes one value here: there is no hyperparameter tuning")
    value = reader.value()
    if not _KINDS[option.kind](value):
        raise BadInput(f"{place}: the option {name} takes {option.kind}, not {spelled(value)}")
    if isinstance(value, str) and option.choices:
        value = value.upper()
        if value not in option.choices:
            what = "model type" if name == "MODEL_TYPE" else f"value of {name}"
            raise BadInput(f"{place}: {value!r} is no {what} here; supported are {listed(option.choices)}")
    if (option.least is not None and value < option.least) or (option.most is not None and value > option.most):
        limits = f"from {option.least:g}" + (f" to {option.most:g}" if option.most is not None else "")
        raise BadInput(f"{place}: the option {name} is a number {limits}, not {value}")
    return value


def _for_model_type(opening: str, found: dict[str, Any], places: Places) -> Options:
    model_type = found.get("MODEL_TYPE")
    if model_type is None:
        raise BadInput(f"{opening}: OPTIONS must name the MODEL_TYPE; supported are {listed(MODEL_TYPES)}")
    for name, place in places.items():
        if model_type not in OPTIONS[name].models:
            allowed = [key for key, option in OPTIONS.items() if model_type in option.models and key != "LABELS"]
            raise BadInput(f"{place}: {model_type} has no option {name}; its options are {listed(sorted(allowed))}")
    options = Options(model_type, found, places)
    _check_together(options)
    return options


def _check_together(options: Options) -> None:
    def fail(name: str, sentence: str) -> None:
        raise options.wrong(name, sentence)

    given = options.given
    if options.model_type in IMPORTED and not options["MODEL_PATH"]:
        fail("MODEL_TYPE", f"{options.model_type} needs the option MODEL_PATH, the folder of its SavedModel")
    if options["AUTO_CLASS_WEIGHTS"] and "CLASS_WEIGHTS" in given:
        fail("CLASS_WEIGHTS", "give CLASS_WEIGHTS or AUTO_CLASS_WEIGHTS, not both")
    if len(given.get("INPUT_LABEL_COLS", ["label"])) != 1:
        fail("INPUT_LABEL_COLS", "INPUT_LABEL_COLS names exactly one column")
    if options["DATA_SPLIT_METHOD"] in ("CUSTOM", "SEQ") and "DATA_SPLIT_COL" not in given:
        fail("DATA_SPLIT_METHOD", f"{options['DATA_SPLIT_METHOD']} needs the option DATA_SPLIT_COL")
    if "DATA_SPLIT_COL" in given and options["DATA_SPLIT_METHOD"] not in ("CUSTOM", "SEQ"):
        fail("DATA_SPLIT_COL", "DATA_SPLIT_COL goes with DATA_SPLIT_METHOD 'CUSTOM' or 'SEQ'")
    if str(options["DATA_SPLIT_COL"]).lower() == given.get("INPUT_LABEL_COLS", ["label"])[0].lower():
        fail("DATA_SPLIT_COL", "DATA_SPLIT_COL cannot be the label; name another column")
    weights = [weight for _, weight in class_weights(options["CLASS_WEIGHTS"] or [])]
    if weights and (min(weights) < 0 or not max(weights)):
        fail("CLASS_WEIGHTS", "a weight of CLASS_WEIGHTS is a number from 0, and one is above 0")
    _check_encoding(options, fail)
    _check_solver(options, fail)


def _check_solver(options: Options, fail: Callable[[str, str], None]) -> None:
    given = options.given
    if options.model_type in LINEAR and "LEARN_RATE" in given and options["LEARN_RATE_STRATEGY"] != "CONSTANT":
        fail("LEARN_RATE", "LEARN_RATE goes with LEARN_RATE_STRATEGY 'CONSTANT'; a line search finds its own rate")
    if options["OPTIMIZE_STRATEGY"] == "NORMAL_EQUATION" and options["L1_REG"]:
        fail("OPTIMIZE_STRATEGY", "NORMAL_EQUATION cannot be combined with L1_REG")
    if options["TREE_METHOD"] == "EXACT" and options["COLSAMPLE_BYNODE"] < 1:
        fail("COLSAMPLE_BYNODE", "COLSAMPLE_BYNODE goes with TREE_METHOD 'AUTO', 'APPROX' or 'HIST', not 'EXACT'")
    if options.model_type in NETWORKS and options["DROPOUT"] == 1:
        fail("DROPOUT", "DROPOUT of a network is a number below 1: with 1 nothing is left to learn")
    if options.model_type in NETWORKS and options["OPTIMIZER"] in ("ADAM", "RMSPROP"):
        for name in ("L1_REG", "L2_REG"):
            if given.get(name):
                fail(name, f"{name} goes with OPTIMIZER 'ADAGRAD', 'FTRL' or 'SGD', not '{options['OPTIMIZER']}'")


def _check_encoding(options: Options, fail: Callable[[str, str], None]) -> None:
    name = "CATEGORY_ENCODING_METHOD"
    allowed = (
        ("ONE_HOT_ENCODING", "DUMMY_ENCODING")
        if options.model_type in LINEAR
        else ("LABEL_ENCODING", "ONE_HOT_ENCODING", "TARGET_ENCODING")
    )
    if name in options.given and options[name] not in allowed:
        fail(name, f"{options.model_type} encodes categories by {listed(allowed)}, not {options[name]}")


def _weight(item: Any) -> bool:
    pair = tuple(item.values()) if isinstance(item, dict) else item
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and is_number(pair[1])  # noqa: PLR2004 - label and weight


def class_weights(given: Sequence[Any]) -> list[tuple[str, float]]:
    """Give the pairs of class and weight of CLASS_WEIGHTS."""
    return [tuple(item.values()) if isinstance(item, dict) else item for item in given]
