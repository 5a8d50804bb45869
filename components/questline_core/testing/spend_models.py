"""Real spend models for tests whose matter is not what a model learned: trained on rows of random numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.models.store import ModelVersion, publish
from questline_core.spend.examples import SCHEMA

ROWS = 2000
WITH_SPEND = 0.1


def publish_random_model(folder: Path, *, store: str) -> ModelVersion:
    """Train a model for one pass, in a folder, and publish it to a store as `spend`."""
    from questline_core.spend.training import train  # noqa: PLC0415 - takes seconds

    write_random_examples(folder / "examples")
    train(folder / "examples", folder / "model", epochs=1, seed=1)
    (folder / "metrics.json").write_text("{}")
    return publish(folder / "model", folder / "metrics.json", store=store, name="spend", lineage={})


def write_random_examples(folder: Path) -> None:
    """Write `ROWS` examples of which a share `WITH_SPEND` has spend."""
    folder.mkdir()
    random = np.random.default_rng(1)
    columns: dict[str, Any] = {name: random.gamma(1.0, 5.0, ROWS) for name in NUMBERS}
    columns |= {name: random.choice([f"word {number}" for number in range(40)], ROWS) for name in TEXTS}
    columns |= {"spend": np.where(random.random(ROWS) < WITH_SPEND, 5.0, 0.0)}
    columns |= {"player": [f"p{row}" for row in range(ROWS)], "at_micros": np.arange(ROWS)}
    pq.write_table(pa.table(columns).select(SCHEMA.names).cast(SCHEMA), folder / "train.parquet")
