"""Put answers of models into a warehouse as the stream does, and make small ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Feature, Served
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import PREDICTIONS, Warehouse


def an_answer(event: Event, *, inputs: Mapping[str, float | str] | None = None, **fields: Any) -> Served:
    """Make the spend model's answer at an event: 2 in between 0 and 4, half a chance, unless told otherwise."""
    given: dict[str, Any] = {
        "model": "spend",
        "revision": "v1",
        "source": "FRESH",
        "event_id": event.event_id,
        "event_name": event.event_name,
        "event_timestamp": event.event_timestamp,
        "user_pseudo_id": event.user_pseudo_id,
        "served_time": event.event_timestamp,
        "value": 2.0,
        "lower_bound": 0.0,
        "upper_bound": 4.0,
        "probability": 0.5,
    } | fields
    features = [_feature(name, value) for name, value in (inputs or {}).items()]
    return Served(prediction_id=f"{given['event_id']}/{given['model']}", features=features, **given)


def fill_answers(warehouse: Warehouse, answers: Iterable[Served]) -> None:
    """Append answers to the table of predictions."""
    warehouse.create(PREDICTIONS, arrow_schema(Served))
    warehouse.append(PREDICTIONS, to_table(Served, list(answers)), key="prediction_id")


def _feature(name: str, value: float | str) -> Feature:
    if isinstance(value, str):
        return Feature(name=name, text=value)
    return Feature(name=name) if math.isnan(value) else Feature(name=name, number=value)
