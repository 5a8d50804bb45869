"""The published table of real players: imported and counted, and its labels found again by our SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pytest

from questline_core.churn import original
from questline_core.churn.tables import FEATURES, Split
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.event_tables import DAY, an_event, fill
from questline_core.warehouse.port import Warehouse

USERS = Path(__file__).parents[4] / "shared" / "data" / "flood_it_users" / "users.csv"
WHOLE = {"bounced": 5557, "others": 8031, "churned": 1883}
"""What is known of all 13,588 players, of whom the folder lacks a tenth: fold 9."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not USERS.exists(), reason=f"the real players are not there: {USERS}")


def test_the_import_has_every_player_with_the_published_labels(warehouse: Warehouse) -> None:
    original.players_from_users(warehouse, USERS)
    (counts,) = warehouse.query("""
        SELECT
          COUNT(*) AS players,
          COUNTIF(bounced = 1) AS bounced,
          COUNTIF(bounced = 0) AS others,
          COUNTIF(bounced = 0 AND churned = 1) AS churned,
          COUNTIF(bounced = 1 AND churned = 0) AS impossible,
          COUNTIF(MOD(ABS(FARM_FINGERPRINT(user_pseudo_id)), 10) = 9) AS kept_back
        FROM churn.original_players
    """).to_pylist()

    assert counts == {
        "players": 12290,
        "bounced": 5058,
        "others": 7232,
        "churned": 1688,
        "impossible": 0,
        "kept_back": 0,
    }
    assert counts["others"] + 799 == WHOLE["others"]  # the published test: 799 players, of whom 195 churned
    assert counts["churned"] + 195 == WHOLE["churned"]
    assert 13588 - counts["players"] - 799 == WHOLE["bounced"] - counts["bounced"]


def test_the_split_is_the_published_one(warehouse: Warehouse) -> None:
    original.players_from_users(warehouse, USERS)
    original.split(warehouse, Split(by_time=False))

    rows = warehouse.query("SELECT fold, COUNT(*) AS n FROM churn.original_held_out GROUP BY fold").to_pylist()
    (train,) = warehouse.query("SELECT COUNT(*) AS n FROM churn.original_training").to_pylist()

    assert [row["fold"] for row in rows] == [8]
    assert train["n"] + rows[0]["n"] == 7232


def _played(row: dict[str, Any]) -> Iterator[Event]:
    """Make events of which the published row is what the original's SQL makes."""
    player = row["user_pseudo_id"]
    first = int((row["user_first_engagement"] - _EPOCH) / timedelta(microseconds=1))
    last = first + (300_000_000 if row["bounced"] else DAY - 1 if row["churned"] else DAY + 1)
    for name in (name.removeprefix("cnt_") for name in FEATURES if name.startswith("cnt_")):
        for number in range(row[f"cnt_{name}"]):
            yield an_event(player, first + number, name)
    if row["cnt_user_engagement"] > 1 or not row["churned"]:
        yield an_event(player, last, "user_engagement")


def test_the_originals_sql_finds_the_published_labels_again_in_events(warehouse: Warehouse) -> None:
    rows = pa_csv.read_csv(USERS).slice(0, 12290).to_pylist()[::60]
    assert len(rows) == 205
    events = [event for row in rows for event in _played(row)]
    fill(warehouse, events)

    original.players_from_events(warehouse)

    found = warehouse.query("SELECT * FROM churn.original_players").to_pylist()
    told = {row["user_pseudo_id"]: (row["bounced"], row["churned"]) for row in found}
    assert told == {row["user_pseudo_id"]: (row["bounced"], row["churned"]) for row in rows}
