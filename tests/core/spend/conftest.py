"""A warehouse in a fresh folder, and a spend model trained on made-up examples with a known rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.spend.evaluation import Evaluation, evaluate
from questline_core.spend.examples import SCHEMA
from questline_core.warehouse.port import Warehouse, open_warehouse

FACTS = {"data_version": "d7", "horizon_hours": 24, "holdout_days": 7, "train": 4000, "train_positives": 1}


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as opened:
        yield opened


def _examples(folder: Path, *, shuffled: bool = False, base_logit: float = -4.0) -> Path:
    """Write examples of which those with earlier spends and with fails spend more, and more in Japan."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(11)
    for name, rows in (("train", 4000), ("eval", 2000)):
        columns: dict[str, Any] = {number: random.gamma(1.0, 5.0, rows) for number in NUMBERS}
        columns["spends"] = random.poisson(0.7, rows).astype(float)
        columns["fails_in_row"] = random.poisson(1.0, rows).astype(float)
        columns["level_max"][random.random(rows) < 0.5] = np.nan
        columns |= {text: random.choice(["a", "b", ""], rows) for text in TEXTS}
        columns["country"] = random.choice(["Japan", "Peru", "rare"], rows, p=[0.3, 0.699, 0.001])
        chance = 1 / (1 + np.exp(-(base_logit + 1.2 * columns["spends"] + 0.5 * columns["fails_in_row"])))
        amount = random.gamma(3, np.where(columns["country"] == "Japan", 4.0, 1.0)) + 0.1
        spend = np.where(random.random(rows) < chance, amount, 0.0)
        columns["spend"] = random.permutation(spend) if shuffled else spend
        columns["player"] = [f"p{number}" for number in random.integers(0, rows // 3, rows)]
        columns["at_micros"] = np.arange(rows)
        pq.write_table(pa.table(columns).select(SCHEMA.names).cast(SCHEMA), folder / f"{name}.parquet")
    (folder / "examples.json").write_text(json.dumps(FACTS))
    return folder


def _trained(examples: Path, model: Path, *, epochs: int = 8) -> Path:
    from questline_core.spend.training import train

    train(examples, model, epochs=epochs, seed=3)
    return model


@pytest.fixture(scope="session")
def make_examples() -> Callable[..., Path]:
    return _examples


@pytest.fixture(scope="session")
def trained() -> Callable[..., Path]:
    return _trained


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _examples(tmp_path_factory.mktemp("spend") / "examples")


@pytest.fixture(scope="session")
def model(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained(examples, tmp_path_factory.mktemp("spend") / "model")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spend") / "report"


@pytest.fixture(scope="session")
def evaluation(model: Path, examples: Path, report: Path) -> Evaluation:
    return evaluate(model, examples, report)
