"""A log of purchases from elsewhere trains and is judged by the same steps, with a mapping file and no code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from questline_core.events.checks import complete
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event
from questline_core.spend.evaluation import evaluate
from questline_core.spend.examples import extract
from questline_core.spend.training import train
from questline_core.warehouse.port import EVENTS, open_warehouse
from questline_ingest.imports.mapping_file import load_mapping

MAPPING = """
title: shop
constants: {event_name: spend_virtual_currency}
columns:
  user_pseudo_id: customer
  event_timestamp: {field: date, format: iso, zone: UTC}
params: {value: amount}
"""


def purchases(days: int = 40) -> Iterator[dict[str, Any]]:
    """Let some customers buy most days, and others now and then; each has a usual amount of money."""
    random = np.random.default_rng(4)
    for customer in range(150):
        often, usual = (0.7, 20.0) if customer % 3 == 0 else (0.12, 5.0)
        for day in np.flatnonzero(random.random(days) < often):
            at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=int(day), seconds=int(random.integers(0, 86_400)))
            yield {"customer": f"c{customer}", "date": at.isoformat(), "amount": round(random.gamma(4, usual / 4), 2)}


def test_a_log_of_customers_dates_and_amounts_trains_and_is_judged(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(MAPPING)
    rows = load_mapping(str(tmp_path / "shop.yaml"))
    events = [rows.event(line) for line in purchases()]
    for number, event in enumerate(events):
        event.event_id = f"purchase-{number}"
        complete(event, title=rows.title, received_time=event.event_timestamp)
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as warehouse:
        warehouse.create(EVENTS, arrow_schema(Event))
        warehouse.append(EVENTS, to_table(Event, events), key="event_id")
        extract(warehouse, tmp_path / "examples", horizon_hours=48, holdout_days=8)

    train(tmp_path / "examples", tmp_path / "model", epochs=10, seed=1)
    found = evaluate(tmp_path / "model", tmp_path / "examples", tmp_path / "report")

    assert found.log_loss_gain.low > 0
    assert found.normalized_gini.low > 0.1
