"""What an event costs on its way from the spool to a row, in CPU time of this process, and how soon it can be asked for.

Run it with `make bench-stream`. Bars: 100,000 events/s and 4 µs of CPU an event in batches; a row 2 s after its
acknowledgement. CPU time of one core that others share is dearer than that of a quiet one: of the whole way the least of
some rounds counts.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date
from itertools import islice
from pathlib import Path

from questline_beam.driver import Driver, Pace
from questline_beam.embedded import EmbeddedRows
from questline_beam.settings import StreamSettings
from questline_beam.tables import EVENT_KEY, create_tables
from questline_core.broker.port import EVENT, Message, open_broker
from questline_core.events.rows import to_rows
from questline_core.events.wire import read
from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue
from questline_core.testing.bars import at_least, at_most
from questline_core.warehouse.port import EVENTS, open_warehouse
from questline_ingest.simulate.history import simulate
from questline_ingest.simulate.world import World

EVENTS_MADE, BATCH, ROUNDS = 60_000, 20_000, 3
BAR_US, BAR_RATE, BAR_S = 4.0, 100_000, 2.0
WHOLE = "whole way: spool to rows"


def main() -> None:
    """Print a table for each kind of event, and the delay."""
    graph = EmbeddedRows(title="bench")
    graph.run([])
    for kind, events in (("small", list(small_events())), ("full", list(full_events()))):
        messages = [as_message(event) for event in events]
        size = sum(len(message.data) for message in messages) / len(messages)
        print(f"{kind} events, {size:.0f} bytes, batches of {BATCH:,}: µs of CPU an event")
        steps = costs(graph, messages)
        for step, cost_us in steps.items():
            print(f"  {step:34}{cost_us:8.2f}   {1e6 / cost_us:10,.0f} events a CPU-second")
        print(f"bar   stream, {kind} events: {at_most(steps[WHOLE], BAR_US, 'µs of CPU an event')}")
        print(f"bar   stream, {kind} events: {at_least(1e6 / steps[WHOLE], BAR_RATE, 'events a CPU-second')}")
    print(f"bar   acknowledged to queryable: {at_most(delay_s(graph), BAR_S, 's')}")


def small_events() -> Iterator[Event]:
    """Make events such as a small game sends."""
    for number in range(EVENTS_MADE):
        at = 1_767_225_600_000_000 + number * 1_000
        yield Event(
            event_id=f"{number:032x}",
            title="bench",
            received_time=at + 500,
            origin="client",
            event_date="20260101",
            event_timestamp=at,
            event_name="level_up",
            user_pseudo_id=f"player-{number % 2_000}",
            event_params=[Param(key="level", value=ParamValue(int_value=number % 40))],
            platform="IOS",
        )


def full_events() -> Iterator[Event]:
    """Make events with all that the published export tells of a player and a device."""
    world = World(players=1_500, days=28, seed=1, start=date(2026, 1, 1), resend_rate=0.01)
    for event in islice(simulate(world), EVENTS_MADE):
        event.received_time = event.event_timestamp + 1_000_000
        yield event


def as_message(event: Event) -> Message:
    """Wrap an event as the gateway does."""
    attributes = {"kind": EVENT, "id": event.event_id, "name": event.event_name, "message_id": event.event_id}
    return Message(data=event.SerializeToString(), attributes=attributes)


def costs(graph: EmbeddedRows, messages: Sequence[Message]) -> dict[str, float]:
    """Measure the steps, each alone, and the whole way."""
    batches = [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]
    payloads = [[message.data for message in batch] for batch in batches]
    tables = [to_rows(Event, read(Event, batch)) for batch in payloads]
    with embedded() as home, closing(open_warehouse(f"duckdb:{home}/alone")) as warehouse:
        create_tables(warehouse)
        return {
            "bytes to columns": cost_us(lambda: [to_rows(Event, read(Event, batch)) for batch in payloads]),
            "graph: bytes to checked rows": cost_us(lambda: [graph.run(batch) for batch in batches]),
            "append by key to Parquet": cost_us(lambda: [warehouse.append(EVENTS, t, key=EVENT_KEY) for t in tables]),
            WHOLE: min(whole_way_us(graph, messages) for _ in range(ROUNDS)),
        }


def whole_way_us(graph: EmbeddedRows, messages: Sequence[Message]) -> float:
    """Drain a spool that holds the messages."""
    with (
        embedded() as home,
        closing(open_broker(f"spool:{home}/spool")) as broker,
        closing(open_warehouse(f"duckdb:{home}/w")) as warehouse,
    ):
        create_tables(warehouse)
        asyncio.run(broker.publish(messages))
        pace = Pace(batch=BATCH, lease_s=60, wait_s=0)
        driver = Driver(broker=broker, warehouse=warehouse, rows=graph, pace=pace)
        return cost_us(lambda: driver.drain(threading.Event()))


def cost_us(work: Callable[[], object]) -> float:
    """Measure the CPU time of this process, all threads, for one event of `EVENTS_MADE`."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / EVENTS_MADE * 1e6


def delay_s(graph: EmbeddedRows) -> float:
    """Publish one event beside a stream that runs at its usual pace, and wait for its row."""
    settings = StreamSettings()
    pace = Pace(batch=settings.stream_batch, lease_s=settings.stream_lease_s, wait_s=settings.stream_wait_s)
    stop = threading.Event()
    with (
        embedded() as home,
        closing(open_broker(f"spool:{home}/spool")) as broker,
        closing(open_warehouse(f"duckdb:{home}/w")) as warehouse,
    ):
        create_tables(warehouse)
        driver = Driver(broker=broker, warehouse=warehouse, rows=graph, pace=pace)
        worker = threading.Thread(target=driver.run, args=[stop])
        worker.start()
        delays = [one_delay_s(f"{home}/spool", f"{home}/w", number) for number in range(5)]
        stop.set()
        worker.join()
    return max(delays)


def one_delay_s(spool: str, folder: str, number: int) -> float:
    """Publish as another process would, and ask as another process would."""
    event = next(islice(small_events(), number, None))
    with closing(open_broker(f"spool:{spool}", process="other")) as broker:
        asyncio.run(broker.publish([as_message(event)]))
    acknowledged = time.monotonic()
    with closing(open_warehouse(f"duckdb:{folder}")) as warehouse:
        while not warehouse.query(f"SELECT 1 FROM {EVENTS} WHERE event_id = @id", id=event.event_id).num_rows:  # noqa: S608 - our own table
            time.sleep(0.02)
    return time.monotonic() - acknowledged


@contextmanager
def embedded() -> Iterator[Path]:
    """Give a folder that is removed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    main()
