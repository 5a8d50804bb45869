"""Ask a saved spend model about many examples at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from questline_core.errors import BadInput
from questline_core.spend.arrays import Examples, Predictions
from questline_core.spend.network import OUTPUTS, tensors

_ROWS_AT_ONCE = 8192


def opened(model: Path) -> Callable[[Examples], Predictions]:
    """Load a saved model; what is given answers all examples.

    Raises:
        BadInput: the folder holds no SavedModel with a signature to serve.
    """
    folder = model / "saved_model"
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise BadInput(f"{folder} holds no model that can be asked ({error}); train it again") from None

    def asked(examples: Examples, _keep: Any = loaded) -> Predictions:
        parts = [
            signature(**tensors(examples.take(slice(start, start + _ROWS_AT_ONCE)).inputs))
            for start in range(0, len(examples), _ROWS_AT_ONCE)
        ]
        return Predictions(
            **{name: np.concatenate([part[name].numpy() for part in parts]).astype(np.float64) for name in OUTPUTS}
        )

    return asked


def ask(model: Path, examples: Examples) -> Predictions:
    """Give a saved model's answers to all examples; see `opened`."""
    return opened(model)(examples)
