"""The tables that the stream writes."""

from __future__ import annotations

import pyarrow as pa

from questline_core.events.schema import arrow_schema
from questline_core.events.sessions import SESSION_SCHEMA, SESSIONS
from questline_core.pb.broker_pb2 import Reject, Served
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import EVENTS, PREDICTIONS, REJECTS, Warehouse

EVENT_KEY = "event_id"
REJECT_KEY = "message_id"
"""Column that names the message that brought a reject: a message that comes again makes no second row."""
PREDICTION_KEY = "prediction_id"

EVENT_SCHEMA: pa.Schema = arrow_schema(Event)
REJECT_SCHEMA: pa.Schema = arrow_schema(Reject)
PREDICTION_SCHEMA: pa.Schema = arrow_schema(Served)


def create_tables(warehouse: Warehouse) -> None:
    """Make the tables that are not there yet.

    Raises:
        BadInput: the warehouse cannot be written, or has such tables with other columns.
    """
    warehouse.create(EVENTS, EVENT_SCHEMA)
    warehouse.create(REJECTS, REJECT_SCHEMA)
    warehouse.create(PREDICTIONS, PREDICTION_SCHEMA)
    warehouse.create(SESSIONS, SESSION_SCHEMA)
