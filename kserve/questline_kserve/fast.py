"""Open the fast form of a model: an ONNX graph over a matrix of numbers and one of texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

_ERRORS_ONLY = 3


def opened(file: Path) -> Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float32]]:
    """Load a graph with the inputs `numbers` and `texts`, which have a line for each input, and one output.

    One thread computes: a row costs less than handing it to another thread. Any number of threads may ask.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def ask(numbers: NDArray[np.float32], texts: NDArray[Any]) -> NDArray[np.float32]:
        answers: NDArray[np.float32]
        (answers,) = session.run(None, {"numbers": numbers, "texts": _texts(texts)})
        return answers

    return ask


def _texts(given: NDArray[Any]) -> NDArray[Any]:
    """Decode bytes, as requests bring them; what is no UTF-8 is a text that no model has seen."""
    decoded = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in given.flat]
    return np.array(decoded, object).reshape(given.shape)
