"""Read examples from Parquet into NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from questline_core.errors import BadInput
from questline_core.features.online import NUMBERS, TEXTS
from questline_core.metrics import Floats

Texts = NDArray[np.object_]

NOMINAL_COVERAGE = 0.8
"""Share of those who spend whose spend the model promises to lie within its bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Examples by column, in order of time; every array has one value a row."""

    inputs: Mapping[str, Floats | Texts]
    """By name: NaN and "" are "not known"."""
    spend: Floats
    """The label: virtual currency spent in the horizon after the moment."""
    players: Texts
    at_micros: NDArray[np.int64]
    """The moment, microseconds since 1970-01-01 UTC."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.spend)

    def take(self, rows: Any) -> Examples:
        """Take the rows that a slice, a mask or an array of positions chooses."""
        return Examples(
            inputs={name: column[rows] for name, column in self.inputs.items()},
            spend=self.spend[rows],
            players=self.players[rows],
            at_micros=self.at_micros[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """A model's answers to the rows, as its signature gives them."""

    value: Floats
    lower_bound: Floats
    upper_bound: Floats
    probability: Floats

    def take(self, rows: Any) -> Predictions:
        """Take the answers that a slice, a mask or an array of positions chooses."""
        return Predictions(
            value=self.value[rows],
            lower_bound=self.lower_bound[rows],
            upper_bound=self.upper_bound[rows],
            probability=self.probability[rows],
        )


def read_examples(file: Path) -> Examples:
    """Read train.parquet or eval.parquet, as `spend.examples.extract` writes them.

    Raises:
        BadInput: the file is missing, is no Parquet file or lacks a column.
    """
    try:
        table = pq.read_table(file)
        numbers = {name: table[name].to_numpy().astype(np.float64) for name in (*NUMBERS, "spend")}
        texts = {name: np.array(table[name].to_pylist(), object) for name in (*TEXTS, "player")}
        at_micros = table["at_micros"].to_numpy().astype(np.int64)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{file} holds no examples of the spend model ({error}); extract them again") from None
    return Examples(
        spend=numbers.pop("spend"), players=texts.pop("player"), inputs=numbers | texts, at_micros=at_micros
    )
