"""TensorFlow as a serving process wants it: silent, without Keras, and on one thread for each of its pools."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any


@cache
def tensorflow() -> Any:
    """Import TensorFlow, which takes seconds.

    One thread a pool: a row costs less than handing it to another thread. What the imports made is kept out of all
    later collections of garbage, which would stop every thread for a third of a second.
    """
    # The preprocessing is inside the SavedModel. Without this TensorFlow imports Keras, two seconds and 70 MB; what it
    # looks for instead is not installed, which it takes without a word. oneDNN's kernels differ from one processor to
    # the next, gain nothing on small networks, and are announced on standard error whatever the level of the log.
    with _environment(TF_CPP_MIN_LOG_LEVEL="3", TF_USE_LEGACY_KERAS="1", TF_ENABLE_ONEDNN_OPTS="0"):
        import tensorflow as tf  # noqa: PLC0415 - as late as possible, see above

    with suppress(RuntimeError):  # raised where a test has used TensorFlow before: its pools stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    gc.collect()
    gc.freeze()
    return tf


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set variables that a package reads from the environment only, for as long as it is imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
