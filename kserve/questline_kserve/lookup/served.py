"""A lookup as the protocols see it: a model whose only input is the player."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from questline_core.errors import BadInput
from questline_core.lookup import Lookup
from questline_kserve.version import Column

PLAYER = "user_pseudo_id"
_OUTPUTS = {
    "probability": "FP32",
    "predicted_churned": "FP32",
    "source": "BYTES",
    "reasons": "BYTES",
    "generation": "BYTES",
}


@dataclass(frozen=True, slots=True)
class ServedLookup:
    """Answers from the generation that is newest when a request comes; all rows of a request are of one."""

    revision: str
    lookup: Lookup
    platform: str = "questline_lookup"
    inputs: Mapping[str, str] = field(default_factory=lambda: {PLAYER: "BYTES"})
    outputs: Mapping[str, str] = field(default_factory=lambda: _OUTPUTS)

    def predict(self, columns: Mapping[str, Column]) -> dict[str, Column]:
        """Look the players up; one who is not known gets the prior, with the source `unknown`.

        Raises:
            BadInput: an id is not UTF-8.
            NotReady: no generation answers.
        """
        generation = self.lookup.generation
        scores = generation.get_many([_text(player) for player in columns[PLAYER]])
        probability = np.array([score.probability for score in scores], np.float32)
        return {
            "probability": probability,
            "predicted_churned": (probability >= generation.told.threshold).astype(np.float32),
            "source": np.array([score.source for score in scores], object),
            "reasons": np.array([",".join(score.reasons) for score in scores], object),
            "generation": np.array([generation.told.generation] * len(scores), object),
        }

    def predict_packed(self, numbers: NDArray[np.float32], texts: Column) -> dict[str, Column]:  # noqa: ARG002 - it has none
        """Look the players of the only line up, as `predict` does."""
        return self.predict({PLAYER: texts[0]})


def _text(player: bytes | str) -> str:
    try:
        return player.decode() if isinstance(player, bytes) else player
    except UnicodeDecodeError as error:
        raise BadInput(f"{PLAYER} {player!r} is not UTF-8: {error.reason}") from None
