"""Make the tables of churn: the players with their labels, the rows to learn from and the rows to judge on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from questline_core.errors import NotReady
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse

HOUR, DAY = 3_600_000_000, 86_400_000_000
"""Microseconds."""

FEATURES = (
    "country",
    "operating_system",
    "language",
    "cnt_user_engagement",
    "cnt_level_start_quickplay",
    "cnt_level_end_quickplay",
    "cnt_level_complete_quickplay",
    "cnt_level_reset_quickplay",
    "cnt_post_score",
    "cnt_spend_virtual_currency",
    "cnt_ad_reward",
    "cnt_challenge_a_friend",
    "cnt_completed_5_levels",
    "cnt_use_extra_steps",
)
"""What the models see of a player: known at hour 24, no id, no calendar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a label counts, and how the rows are split."""

    grace_hours: int = 144
    """How long after the first 24 hours a player may still come back before the label is due."""
    warmup_hours: int = 168
    """A player without a first touch or a first_open who is seen this soon in the table may be an old one."""
    holdout_days: int = 14
    """The split by time judges on players who came in the last days whose labels are due."""
    seen_days: int = 30
    """Who was seen within these days is scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Players:
    """What `churn.players` holds."""

    players: int
    labelled: int
    bounced: int
    """Of the labelled ones."""
    churned: int
    """Of the labelled ones who did not bounce."""
    start_micros: int
    as_of_micros: int
    """Span of the events, microseconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the first step tells the later ones."""

    players: Players
    rules: Rules

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read what `write` wrote."""
        told = json.loads(file.read_text(encoding="utf-8"))
        return cls(players=Players(**told["players"]), rules=Rules(**told["rules"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which rows are learned from: nine tenths drawn by a hash, or those of the past of a moment."""

    by_time: bool
    judged_after_micros: int = 0


def prepare(warehouse: Warehouse, rules: Rules) -> Players:
    """Make `churn.players` of the events.

    Raises:
        NotReady: there are no events.
    """
    span = _span(warehouse)
    warehouse.query(sql("churn/dataset.sql"))
    warehouse.query(sql("churn/players.sql"), **_values(span, rules))
    (counts,) = warehouse.query(sql("churn/counts.sql")).to_pylist()
    return Players(**counts, start_micros=span["start_micros"], as_of_micros=span["latest_micros"])


def engagements(warehouse: Warehouse, *, as_of_micros: int) -> pa.Table:
    """Tell as `churn.players` does when players were engaged, up to a time, and leave that table as it is.

    Returns:
        Columns user_pseudo_id, first_micros, last_micros, is_truncated.

    Raises:
        NotReady: there are no events.
    """
    _, _, players = sql("churn/players.sql").partition("CREATE OR REPLACE TABLE churn.players AS\n")
    span = _span(warehouse) | {"latest_micros": as_of_micros}
    text = f"SELECT user_pseudo_id, first_micros, last_micros, is_truncated FROM ({players})"  # noqa: S608 - of a file
    return warehouse.query(text, **_values(span, Rules()))


def _span(warehouse: Warehouse) -> dict[str, Any]:
    if EVENTS in warehouse.tables():
        (span,) = warehouse.query(sql("churn/span.sql")).to_pylist()
        if span["latest_micros"] is not None:
            return span
    raise NotReady(
        f"{EVENTS} holds no events; send some through the gateway (`questline simulate`, `questline events import`)"
    )


def _values(span: dict[str, Any], rules: Rules) -> dict[str, int]:
    return {
        "start": span["start_micros"],
        "as_of": span["latest_micros"],
        "grace": rules.grace_hours * HOUR,
        "warmup": rules.warmup_hours * HOUR,
    }


def by_time(players: Players, rules: Rules) -> Split:
    """Make the split that judges on the last players whose labels are due."""
    due = players.as_of_micros - DAY - rules.grace_hours * HOUR
    return Split(by_time=True, judged_after_micros=due - rules.holdout_days * DAY)


def split(warehouse: Warehouse, chosen: Split) -> None:
    """Make `churn.training` and `churn.held_out`, which have no row in common.

    Raises:
        NotReady: one of them holds no players of both kinds.
    """
    values: dict[str, Any] = {"by_time": chosen.by_time, "judged_after": chosen.judged_after_micros}
    for table in ("training", "held_out"):
        warehouse.query(sql(f"churn/{table}.sql"), **values)
        kinds = warehouse.query(sql(f"churn/kinds_in_{table}.sql"))["kinds"][0].as_py()
        if kinds < 2:  # noqa: PLR2004 - those who left and those who stayed
            raise NotReady(
                f"churn.{table} holds no players of both kinds, those who left and those who stayed; let more players "
                "play for longer (`questline simulate`), or hold out other days"
            )
