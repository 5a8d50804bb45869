"""Load one model version from its folder, and let it answer only if it answers as it did in training."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from questline_core.errors import QuestlineError
from questline_core.models import store
from questline_core.models.fast import opened
from questline_kserve.tensorflow import tensorflow

log = structlog.get_logger()

GOLDEN_TOLERANCE = 1e-5
"""How far an answer to a golden request may be from training's: relative to it, and absolute near zero."""

FAST_TOLERANCE = 1e-6
"""The same for a model's fast form, which nobody needs."""

Column = NDArray[Any]
"""One value for each row: float32, or objects that are bytes or str."""

Answers = Mapping[str, Column]
"""One column for each output: float32, or objects that are str."""

Packed = Callable[[NDArray[np.float32], Column], NDArray[np.float32]]
"""A model over two matrices, numbers and texts, with one line for each input; gives one line for each output."""


class Refused(QuestlineError):
    """Raised when a model version cannot be let to answer; the sentence says why."""


class Servable(Protocol):
    """What answers requests: a model's version, or a lookup."""

    @property
    def revision(self) -> str:
        """`spec.predictor.name` of what is served."""

    @property
    def platform(self) -> str:
        """What the V2 protocol calls the kind of model."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Name -> datatype of the Open Inference Protocol, FP32 or BYTES."""

    @property
    def outputs(self) -> Mapping[str, str]:
        """As `inputs`."""

    def predict(self, columns: Mapping[str, Column]) -> Mapping[str, Column]:
        """Answer for all rows at once, float32 for FP32 and texts for BYTES.

        Args:
            columns: at least one input, all of the same length; an input that is not given counts as not known.
        """

    def predict_packed(self, numbers: NDArray[np.float32], texts: Column) -> Mapping[str, Column]:
        """Answer for the same as two matrices, with a line for each input of the datatype in the order of `inputs`.

        NaN and b"" are not known. Both may be written to by nobody.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A loaded model version. It holds no state, so that any thread may ask it."""

    revision: str
    inputs: Mapping[str, str]
    """Name -> datatype of the Open Inference Protocol, FP32 or BYTES."""
    outputs: Mapping[str, str]
    """Name -> datatype, which is FP32."""
    packed: Packed
    owner: Any
    """What TensorFlow loaded: the model works only as long as this lives."""
    platform: str = "tensorflow_savedmodel"

    def predict(self, columns: Mapping[str, Column]) -> dict[str, NDArray[np.float32]]:
        """Answer for all rows at once.

        Args:
            columns: at least one input, all of the same length; an input that is not given counts as not known.
        """
        numbers, texts = named(self.inputs, "FP32"), named(self.inputs, "BYTES")
        rows = len(next(iter(columns.values())))
        return self.predict_packed(
            _matrix(numbers, columns, np.full((len(numbers), rows), math.nan, np.float32)),
            _matrix(texts, columns, np.full((len(texts), rows), b"", object)),
        )

    def predict_packed(self, numbers: NDArray[np.float32], texts: Column) -> dict[str, NDArray[np.float32]]:
        """Answer for the same as two matrices, with a line for each input of the datatype in the order of `inputs`."""
        return dict(zip(self.outputs, self.packed(numbers, texts), strict=True))


def named(inputs: Mapping[str, str], datatype: str) -> list[str]:
    """Name the inputs of a datatype, in their order."""
    return [name for name, kind in inputs.items() if kind == datatype]


def _matrix(names: Sequence[str], columns: Mapping[str, Column], unknown: Column) -> Column:
    """Fill the columns that are given into a matrix of inputs that are not known."""
    for line, name in enumerate(names):
        if name in columns:
            unknown[line] = columns[name]
    return unknown


def column(datatype: str, values: Sequence[Any]) -> Column:
    """Make a column of values of which None means "not known".

    Raises:
        ValueError: a value is not of the datatype.
    """
    if datatype == "BYTES":
        wrong = next((value for value in values if not isinstance(value, str | None)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a text")
        return np.array(["" if value is None else value for value in values], object)
    wrong = next((value for value in values if not isinstance(value, int | float | None)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is not a number")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        return np.array([math.nan if value is None else value for value in values], np.float64).astype(np.float32)


def load_version(uri: str) -> Version:
    """Load a version's folder and ask it its golden requests, which also warms it up.

    Args:
        uri: the folder, as a path or a URL.

    Raises:
        QuestlineError: something about it keeps it from answering as it did in training; the sentence says what.
    """
    try:
        return _load(store.load(uri))
    except QuestlineError:
        raise
    except Exception as error:  # what a damaged folder makes TensorFlow and others raise has no end
        log.warning("version does not load", uri=uri, exc_info=error)
        raise Refused(f"{uri} does not load ({type(error).__name__}: {' '.join(str(error).split())[:300]})") from error


def _load(told: store.ModelVersion) -> Version:
    store.check_files(told)
    folder = told.folder
    owner = tensorflow().saved_model.load(str(folder / "saved_model"))
    signature = owner.signatures.get("serving_default")
    if signature is None:
        raise Refused(f"the SavedModel of {folder} has no signature serving_default")
    inputs = _as_told(told, "inputs", _datatypes(signature.structured_input_signature[1]))
    outputs = _as_told(told, "outputs", _datatypes(signature.structured_outputs))
    if texts := [name for name, datatype in outputs.items() if datatype != "FP32"]:
        raise Refused(f"output {texts[0]!r} of {folder} is text; every output must be a number")
    version = Version(
        revision=told.version,
        inputs=inputs,
        outputs=outputs,
        packed=_pack(signature, inputs, outputs),
        owner=owner,
    )
    _check_golden(version, folder / "golden.json", tolerance=GOLDEN_TOLERANCE)
    return _faster(version, folder)


def _faster(version: Version, folder: Path) -> Version:
    """Let the model's fast form answer, if there is one and it gives the golden answers."""
    if not (folder / store.FAST).exists():
        return version
    try:
        faster = replace(version, packed=opened((folder / store.FAST).read_bytes()))
        _check_golden(faster, folder / "golden.json", tolerance=FAST_TOLERANCE)
    except Exception as error:  # noqa: BLE001 - what a damaged file makes the runtime raise has no end
        log.warning("the fast form is left out and the SavedModel answers", uri=str(folder), error=str(error))
        return version
    return faster


def _pack(signature: Any, inputs: Mapping[str, str], outputs: Iterable[str]) -> Packed:
    """Wrap a signature so that it takes two tensors: TensorFlow spends 0.1 ms on each that it is handed."""
    tf = tensorflow()
    numbers, texts = named(inputs, "FP32"), named(inputs, "BYTES")

    def packed(of_numbers: Any, of_texts: Any) -> Any:
        given = dict(zip(numbers, tf.unstack(of_numbers, len(numbers)), strict=True))
        given |= zip(texts, tf.unstack(of_texts, len(texts)), strict=True)
        answers = signature(**given)
        return tf.stack([answers[name] for name in outputs])

    ask = tf.function(packed).get_concrete_function(
        tf.TensorSpec([len(numbers), None], tf.float32), tf.TensorSpec([len(texts), None], tf.string)
    )
    return lambda of_numbers, of_texts: ask(tf.constant(of_numbers), tf.constant(of_texts, tf.string)).numpy()


def _datatypes(specs: Mapping[str, Any]) -> dict[str, str]:
    names = {"float32": "FP32", "string": "BYTES"}
    for name, spec in specs.items():
        if spec.dtype.name not in names or spec.shape.rank != 1 or spec.shape[0] is not None:
            raise Refused(
                f"{name!r} of the model's signature is {spec.dtype.name} {spec.shape}; "
                "every input and output must be float32 or string with one dimension, the rows"
            )
    return {name: names[spec.dtype.name] for name, spec in specs.items()}


def _as_told(told: store.ModelVersion, side: str, found: Mapping[str, str]) -> dict[str, str]:
    """Bring a side of the SavedModel's signature into the order of model.json, which must say the same."""
    expected = dict(told.metadata["signature"][side])
    if expected != found:
        raise Refused(f"{told.uri}/model.json describes the {side} {expected}, but the SavedModel has {dict(found)}")
    return expected


def _check_golden(version: Version, path: Path, *, tolerance: float) -> None:
    """Ask all golden requests as one batch and compare each answer with training's."""
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
        names = sorted({name for one in golden for name in one["inputs"]})
        columns = {name: column(version.inputs[name], [one["inputs"].get(name) for one in golden]) for name in names}
        expected = [dict(one["outputs"]) for one in golden]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{path} holds no golden requests for this model ({type(error).__name__}: {error})") from None
    if not columns or not all(expected):
        raise Refused(f"{path} holds no golden requests, so nothing shows that the model answers as it did in training")
    answers = version.predict(columns)
    for row, outputs in enumerate(expected):
        for output, number in outputs.items():
            answer = float(answers[output][row]) if output in answers else math.nan
            if not math.isclose(answer, number, rel_tol=tolerance, abs_tol=tolerance):
                raise Refused(f"golden request {row}, {output} is {answer!r} and was {number!r} in training")
