"""Extract the examples of the spend model: a player at a moment, and what the player spends in the hours after it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from questline_core.errors import NotReady
from questline_core.features.moments import sampled_moments
from questline_core.features.online import NUMBERS, TEXTS, inputs_at
from questline_core.processes import write_atomically
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse

_HOUR, _DAY = 3_600_000_000, 86_400_000_000  # microseconds

_TYPES: dict[str, pa.DataType] = {
    "player": pa.string(),
    "at_micros": pa.int64(),
    **dict.fromkeys(NUMBERS, pa.float64()),
    **dict.fromkeys(TEXTS, pa.string()),
    "spend": pa.float64(),
}
SCHEMA = pa.schema(_TYPES)
"""Columns of the two Parquet files: who and when (for the split and the evaluation, never inputs), inputs, label."""

LEAST = {"train": 200, "train_positives": 20, "evaluation": 100, "evaluation_positives": 5}
"""With fewer examples there is nothing to learn or to judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleCounts:
    """How many examples were extracted; a positive one has spend after it."""

    train: int
    train_positives: int
    evaluation: int
    evaluation_positives: int


def extract(warehouse: Warehouse, folder: Path, *, horizon_hours: int, holdout_days: int) -> ExampleCounts:
    """Write train.parquet, eval.parquet and examples.json.

    A moment is one event a player and day. Its inputs are made of what was known before it; its label is the virtual
    currency spent in the `horizon_hours` after it, and only moments whose label is due are taken. The last
    `holdout_days` of them are for the evaluation; learning stops `horizon_hours` before, so that nothing that is
    learned from lies in the time that is judged.

    Raises:
        NotReady: there are too few examples that are due, or too few of them with spend.
    """
    version = warehouse.version(EVENTS)
    latest = warehouse.query(sql("spend/latest_event.sql"))["latest_micros"][0].as_py() or 0
    due = latest - horizon_hours * _HOUR
    judged_after = due - holdout_days * _DAY
    rows = _rows(warehouse, due=due, horizon=horizon_hours * _HOUR)
    train = [row for row in rows if row["at_micros"] <= judged_after - horizon_hours * _HOUR]
    evaluation = [row for row in rows if row["at_micros"] > judged_after]
    counts = ExampleCounts(
        train=len(train),
        train_positives=_positives(train),
        evaluation=len(evaluation),
        evaluation_positives=_positives(evaluation),
    )
    _check_enough(counts, warehouse, horizon_hours=horizon_hours, holdout_days=holdout_days)
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("eval", evaluation)):
        pq.write_table(pa.Table.from_pylist(part, schema=SCHEMA), folder / f"{name}.parquet")
    facts = {
        "data_version": version,
        "horizon_hours": horizon_hours,
        "holdout_days": holdout_days,
        "latest_event_micros": latest,
        "judged_after_micros": judged_after,
        **asdict(counts),
    }
    write_atomically(folder / "examples.json", json.dumps(facts, indent=2))
    return counts


def _rows(warehouse: Warehouse, *, due: int, horizon: int) -> list[dict[str, Any]]:
    """Make all examples that are due, in order of time."""
    labels = warehouse.query(sql("spend/labels.sql"), horizon=horizon)
    spend = dict(zip(labels["event_id"].to_pylist(), labels["spend"].to_pylist(), strict=True))
    moments = sorted(sampled_moments(warehouse, until_micros=due), key=lambda one: (one[3].at_micros, one[1]))
    return [
        {
            "player": player,
            "at_micros": moment.at_micros,
            **inputs_at(state, moment),
            "spend": spend.get(event_id, 0.0),
        }
        for player, event_id, state, moment in moments
    ]


def _positives(rows: list[dict[str, Any]]) -> int:
    return sum(row["spend"] > 0 for row in rows)


def _check_enough(counts: ExampleCounts, warehouse: Warehouse, *, horizon_hours: int, holdout_days: int) -> None:
    for name, least in LEAST.items():
        found = getattr(counts, name)
        if found < least:
            kind = f"{name.replace('_positives', '')} examples{' with spend' if 'positives' in name else ''}"
            unreadable = warehouse.query(sql("spend/unreadable_amounts.sql"))["spends"][0].as_py()
            hint = f"; {unreadable:,} spends count for nothing, because their value is no number" if unreadable else ""
            raise NotReady(
                f"only {found} {kind} are due {horizon_hours} h before the latest event, with the last "
                f"{holdout_days} days held out, and {least} are needed{hint}; let more players play for longer "
                "(`questline simulate`), or ask for fewer days held out or a shorter horizon"
            )
