"""A real spool, a real warehouse and the real graph."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from questline_beam.driver import Driver, Pace
from questline_beam.embedded import EmbeddedRows
from questline_beam.tables import create_tables
from questline_core.broker.port import EVENT, MESSAGE_ID, REJECT, Broker, Message
from questline_core.broker.spool import Spool, open_spool
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import Warehouse, open_warehouse

LEASE_S = 60.0


class Telemetry:
    """Makes messages as the gateway and others publish them."""

    def event(self, name: str, **fields: object) -> Event:
        """An event as the gateway leaves it."""
        given = {
            "event_id": name,
            "title": "quest",
            "received_time": 1_700_000_000_500_000,
            "event_date": "20231114",
            "event_timestamp": 1_700_000_000_000_000,
            "event_name": "level_up",
            "user_pseudo_id": "player-1",
            "origin": "client",
        }
        return Event(**{key: value for key, value in (given | fields).items() if value is not None})  # type: ignore[arg-type]

    def message(self, name: str, **fields: object) -> Message:
        return self.delivered(self.event(name, **fields).SerializeToString(), kind=EVENT, id=name)

    def reject(self, payload: bytes, reason: str = "missing") -> Message:
        reject = Reject(payload=payload, reason=reason, field="event_name", source="gateway", time_micros=7)
        return self.delivered(reject.SerializeToString(), kind=REJECT)

    def garbage(self, data: bytes = b"\xff\xff not an event") -> Message:
        return self.delivered(data, kind=EVENT, id="who knows")

    def delivered(self, data: bytes, **attributes: str) -> Message:
        """A message as a broker delivers it: with an id of its own."""
        self._count = getattr(self, "_count", 0) + 1
        return Message(data=data, attributes={**attributes, MESSAGE_ID: f"m{self._count}"})


class Stream:
    """A spool and a warehouse in one home, and drivers between them."""

    def __init__(self, home: Path, graph: EmbeddedRows) -> None:
        self.home, self.graph, self.now = home, graph, 1_000_000.0
        self.spool: Spool = open_spool(str(home / "spool"), process="gateway-0", clock=lambda: self.now)
        self.warehouse: Warehouse = open_warehouse(f"duckdb:{home / 'warehouse'}")
        create_tables(self.warehouse)

    def publish(self, *messages: Message) -> None:
        bare = [
            Message(data=m.data, attributes={k: v for k, v in m.attributes.items() if k != MESSAGE_ID})
            for m in messages
        ]
        asyncio.run(self.spool.publish(bare))

    def driver(self, *, broker: Broker | None = None, warehouse: Warehouse | None = None, batch: int = 1_000) -> Driver:
        return Driver(
            broker=broker or self.spool,
            warehouse=warehouse or self.warehouse,
            rows=self.graph,
            pace=Pace(batch=batch, lease_s=LEASE_S, wait_s=0),
        )

    def table(self, sql: str) -> Sequence[dict[str, object]]:
        return self.warehouse.query(sql).to_pylist()

    def event_ids(self) -> list[object]:
        return [row["event_id"] for row in self.table("SELECT event_id FROM telemetry.events ORDER BY event_id")]

    def close(self) -> None:
        self.spool.close()
        self.warehouse.close()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture(scope="session")
def graph() -> EmbeddedRows:
    return EmbeddedRows(title="untitled")


@pytest.fixture
def stream(tmp_path: Path, graph: EmbeddedRows) -> Iterator[Stream]:
    stream = Stream(tmp_path / "home", graph)
    yield stream
    stream.close()
