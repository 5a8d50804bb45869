"""Profile what a spend model learned from, and what it answers to that."""

from __future__ import annotations

from pathlib import Path

from questline_core.monitoring.profile import Profile
from questline_core.spend.arrays import read_examples
from questline_core.spend.saved import ask

SCORES = ("probability", "value")
"""The answers whose drift is watched."""


def write_profile(model: Path, examples: Path) -> None:
    """Write the profile of train.parquet into the folder of a trained model.

    Raises:
        BadInput: the examples or the model cannot be read.
    """
    rows = read_examples(examples / "train.parquet")
    answers = ask(model, rows)
    Profile.of(rows.inputs, scores={name: getattr(answers, name) for name in SCORES}).write(model)
