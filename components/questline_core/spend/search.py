"""Search for good settings of the network: which to try, and which of the trained models to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

from questline_core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is chosen of a network, and not learned."""

    width: int = 64
    """Units of the first layer; the second has half of them."""
    dropout: float = 0.2
    decay: float = 5e-5
    """Weight of the squared weights in the loss."""
    learning_rate: float = 1e-3

    @classmethod
    def of(cls, given: Mapping[str, float]) -> Self:
        """Read settings as KFP gives them, which has no whole numbers; what is not given stays as usual.

        Raises:
            BadInput: there is no such setting.
        """
        try:
            return cls(**{name: int(value) if name == "width" else value for name, value in given.items()})  # type: ignore[arg-type] # checked by the call
        except TypeError:
            raise BadInput(f"{dict(given)} are no settings; there are {', '.join(asdict(cls()))}") from None


USUAL = Settings()

_SPACE: Mapping[str, Sequence[float]] = {
    "width": (32, 64, 96, 128),
    "dropout": (0.05, 0.1, 0.2, 0.3, 0.4),
    "decay": (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3),
    "learning_rate": (5e-4, 1e-3, 2e-3),
}


def tries(budget: int, *, seed: int) -> list[dict[str, float]]:
    """List as many settings as the budget allows: the usual ones first, others drawn at random after them."""
    random, found = np.random.default_rng(seed), [asdict(USUAL)]
    while len(found) < min(budget, 100):
        drawn = {name: random.choice(values).item() for name, values in _SPACE.items()}
        if drawn not in found:
            found.append(drawn)
    return found


def best(models: Sequence[Path]) -> Path:
    """Find the trained model with the least loss on training players that it left out.

    Raises:
        BadInput: a folder holds no trained model.
    """
    return min(models, key=_unseen_loss)


def _unseen_loss(model: Path) -> float:
    try:
        return float(json.loads((model / "training.json").read_text(encoding="utf-8"))["unseen_loss"])
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{model} holds no trained model ({error!r}); train it again") from None
