"""How well the churn models rank real players: judged by a hash of the player and by time, with and without calendar features.

Reads the published table of players, one row each (../shared/data/flood_it_users/users.csv, or the file that is named).
Folds 0 to 7 are learned from and 8 is judged on; fold 9 is kept back, and left out here even where the file holds it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from questline_core import metrics
from questline_core.churn import original
from questline_core.churn.models import Predictions
from questline_core.churn.tables import Split
from questline_core.warehouse.port import Warehouse, open_warehouse

USERS = Path(__file__).parents[3] / "shared" / "data" / "flood_it_users" / "users.csv"
SPLITS = {
    "by a hash of the player": Split(by_time=False),
    "by time, judged on who came after 4 September": Split(by_time=True, judged_after_micros=1_536_019_200_000_000),
}
WITH, WITHOUT = "trees_calendar", "trees_no_calendar"
DRAWS, SEED = 2000, 20_180_612


def main() -> None:
    """Print a table for each split: ROC AUC of every model with its 95 % interval, and what the calendar adds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("users", type=Path, nargs="?", default=USERS)
    users = parser.parse_args().users
    if not users.exists():
        sys.exit(f"the published table of players is not there: {users}; name the file")
    with tempfile.TemporaryDirectory() as folder, closing(open_warehouse(f"duckdb:{folder}")) as warehouse:
        original.players_from_users(warehouse, users)
        warehouse.query("""
            CREATE OR REPLACE TABLE churn.original_players AS
            SELECT * FROM churn.original_players WHERE MOD(ABS(FARM_FINGERPRINT(user_pseudo_id)), 10) < 9
        """)
        for name, chosen in SPLITS.items():
            _print(name, _asked(warehouse, chosen))


def _asked(warehouse: Warehouse, chosen: Split) -> Mapping[str, Predictions]:
    original.split(warehouse, chosen)
    asked = {}
    for kind in original.KINDS:
        original.train(warehouse, kind)
        asked[kind] = original.predict(warehouse, kind)
    return asked


def _print(name: str, asked: Mapping[str, Predictions]) -> None:
    left = asked[WITH].churned
    print(f"\nsplit {name}: {len(left):,} players judged, {int(left.sum()):,} of them left")
    for kind, rows in asked.items():
        print(f"  {kind:20} ROC AUC {_with_interval(np.array([_auc(rows, chosen) for chosen in _draws(left)]))}")
    gains = np.array([_auc(asked[WITH], chosen) - _auc(asked[WITHOUT], chosen) for chosen in _draws(left)])
    print(f"  {'the calendar adds':20}         {_with_interval(gains, sign='+')}")


def _draws(churned: NDArray[Any]) -> list[slice | NDArray[Any]]:
    """Give all rows, and then rows drawn with replacement: the same ones for every model."""
    random = np.random.default_rng(SEED)
    return [slice(None), *(random.integers(0, len(churned), len(churned)) for _ in range(DRAWS))]


def _auc(rows: Predictions, chosen: slice | NDArray[Any]) -> float:
    return metrics.roc_auc(rows.churned[chosen], rows.probability[chosen])


def _with_interval(values: NDArray[Any], sign: str = "") -> str:
    """Say the first value, which is of all rows, with the range of 95 % of the others."""
    value, low, high = (f"{one:{sign}.3f}" for one in (values[0], *np.percentile(values[1:], [2.5, 97.5])))
    return f"{value} ({low} to {high})"


if __name__ == "__main__":
    main()
