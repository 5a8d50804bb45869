"""TensorFlow as a serving process wants it: silent, and on one thread for each of its pools."""

from __future__ import annotations

import os
from functools import cache
from typing import Any


@cache
def tensorflow() -> Any:
    """Import TensorFlow, which takes seconds.

    One thread a pool: a row costs a tenth of a millisecond, which is less than handing it to another thread.
    """
    # TensorFlow reads its log level from the environment only, and only at import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf  # noqa: PLC0415 - as late as possible, see above

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf
