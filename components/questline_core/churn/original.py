"""The published set-up to compare with, on our events or on the published table of players."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from questline_core.churn.models import Predictions, predictions_of
from questline_core.churn.tables import Split
from questline_core.errors import BadInput
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

USERS = "churn.published_users"
KINDS = ("logistic", "trees", "network", "trees_calendar", "trees_no_calendar")
"""The original's three statements, and our trees with and without its calendar features."""


def players_from_events(warehouse: Warehouse) -> None:
    """Make `churn.original_players` of the events, as the original did."""
    warehouse.query(sql("churn/dataset.sql"))
    warehouse.query(sql("churn/original/players.sql"))


def players_from_users(warehouse: Warehouse, users_csv: Path) -> None:
    """Make `churn.original_players` of the published table with a row a player.

    Raises:
        BadInput: the file cannot be read.
    """
    texts = dict.fromkeys(("user_first_engagement", "user_pseudo_id", "country_name", "device_os", "device_lang"))
    options = pa_csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()), strings_can_be_null=False)
    try:
        rows = pa_csv.read_csv(users_csv, convert_options=options)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"{users_csv} is not the published table of players ({error})") from None
    warehouse.query(sql("churn/dataset.sql"))
    warehouse.replace(USERS, rows)
    warehouse.query(sql("churn/original/players_from_users.sql"))


def split(warehouse: Warehouse, chosen: Split) -> None:
    """Make `churn.original_training` and `churn.original_held_out`."""
    for table in ("training", "held_out"):
        text = sql(f"churn/original/{table}.sql")
        warehouse.query(text, by_time=chosen.by_time, judged_after=chosen.judged_after_micros)


def train(warehouse: Warehouse, kind: str) -> None:
    """Train `churn.original_KIND` on `churn.original_training`."""
    warehouse.query(sql(f"churn/original/models/{kind}.sql"))


def predict(warehouse: Warehouse, kind: str) -> Predictions:
    """Ask `churn.original_KIND` about all rows of `churn.original_held_out`."""
    text = sql("churn/predictions.sql").replace("churn.champion", f"churn.original_{kind}")
    return predictions_of(warehouse.query(text.replace("churn.held_out", "churn.original_held_out")))
