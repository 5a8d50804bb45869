"""Put events into a warehouse as the stream does, and make small ones."""

from __future__ import annotations

from collections.abc import Iterable

from questline_core.events.checks import complete
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue
from questline_core.warehouse.port import EVENTS, Warehouse

DAY = 86_400_000_000
"""Microseconds."""
MONDAY = 1_762_128_000_000_000
"""2025-11-03T00:00:00Z, microseconds since 1970-01-01 UTC."""


def an_event(player: str, at_micros: int, name: str = "screen_view", **params: float) -> Event:
    """Make an event whose id follows from the rest; whole params lie in the integer slot, others in the double one."""
    event = Event(
        event_id=f"{player}-{at_micros}-{name}", user_pseudo_id=player, event_timestamp=at_micros, event_name=name
    )
    for key, number in params.items():
        value = ParamValue(int_value=number) if isinstance(number, int) else ParamValue(double_value=number)
        event.event_params.append(Param(key=key, value=value))
    return event


def fill(warehouse: Warehouse, events: Iterable[Event]) -> None:
    """Append events to the table of events, received within the minute after they happened."""
    rows = [Event.FromString(event.SerializeToString()) for event in events]
    for event in rows:
        complete(event, title="game", received_time=event.received_time or event.event_timestamp + 60_000_000)
    warehouse.create(EVENTS, arrow_schema(Event))
    warehouse.append(EVENTS, to_table(Event, rows), key="event_id")
