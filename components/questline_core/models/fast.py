"""Open the fast form of a model: an ONNX graph over a matrix of numbers and one of the places of words in a table.

Words are looked up here, as texts are what ONNX is slowest at. The graph's metadata hold, as JSON, the words of each
input that is a text; the place of a word is its number among all of them, and a word that is not there has the next.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Without this it numbers the machine in a file of the home folder, and reports what it does to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

WORDS = "words"
_ERRORS_ONLY = 3

Asked = Callable[[NDArray[np.float32], NDArray[Any]], NDArray[np.float32]]
"""A model over two matrices, numbers and texts (str or bytes), a line for each input; gives a line for each output."""


def opened(graph: bytes) -> Asked:
    """Load a graph with the inputs `numbers` and `words`, which have a line for each input, and one output.

    One thread computes: a row costs less than handing it to another thread. Any number of threads may ask.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    tables, unknown = _tables(json.loads(session.get_modelmeta().custom_metadata_map[WORDS]))

    def ask(numbers: NDArray[np.float32], texts: NDArray[Any]) -> NDArray[np.float32]:
        words = [
            [table.get(text, unknown) for text in line] for table, line in zip(tables, texts.tolist(), strict=True)
        ]
        places = np.array(words, np.int64).reshape(texts.shape)
        answers: NDArray[np.float32]
        (answers,) = session.run(None, {"numbers": numbers, "words": places})
        return answers

    return ask


def _tables(words: list[list[str]]) -> tuple[list[dict[str | bytes, int]], int]:
    """Give the places of the words of each text, and the place of one that is not known."""
    tables: list[dict[str | bytes, int]] = []
    place = 0
    for line in words:
        known: dict[str | bytes, int] = {}
        for number, word in enumerate(line, start=place):
            known[word] = known[word.encode()] = number
        tables.append(known)
        place += len(line)
    return tables, place
