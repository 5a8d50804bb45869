"""The features of the stream, of SQL and of a call are the same, for every player of a generated export."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from datetime import date
from pathlib import Path

from questline_beam.process import run_stream
from questline_beam.settings import StreamSettings
from questline_core.broker.port import EVENT, Message
from questline_core.broker.spool import open_spool
from questline_core.events.checks import complete
from questline_core.features.moments import sampled_moments, states_now
from questline_core.features.online import inputs_at, spend_inputs
from questline_core.features.store import open_reader
from questline_core.pb.telemetry_pb2 import Event
from questline_core.warehouse.port import open_warehouse
from questline_ingest.simulate import World, simulate


def simulated() -> list[Event]:
    """What generated players sent, in the order in which it came: copies and late events are among it."""
    events = list(simulate(World(start=date(2026, 3, 2), days=6, players=80, seed=5)))
    for event in events:
        complete(event, title="quest", received_time=event.event_timestamp)
    return events


def stream(settings: StreamSettings, events: list[Event]) -> None:
    spool = open_spool(str(settings.paths.spool), process="gateway-0")
    asyncio.run(
        spool.publish(
            [Message(data=one.SerializeToString(), attributes={"kind": EVENT, "id": one.event_id}) for one in events]
        )
    )
    spool.close()
    run_stream(settings, threading.Event(), until_idle=True)


def test_stream_sql_and_a_call_give_every_player_the_same_features(tmp_path: Path) -> None:
    """A first stream takes all events, and SQL finds each player's last moment to learn from and what was before it.

    A second one takes only what was before, in small batches, so that it refreshes the same players many times. The event of
    the moment then asks.
    """
    events = simulated()
    everything = StreamSettings(home=tmp_path / "everything")
    stream(everything, events)
    with closing(open_warehouse(everything.warehouse_url)) as warehouse:
        drawn = sorted(sampled_moments(warehouse, until_micros=2**62), key=lambda one: one[3].at_micros)
    last = {player: (event_id, state, moment) for player, event_id, state, moment in drawn}
    by_id = {event.event_id: event for event in events}

    until = {player: (moment.at_micros, event_id) for player, (event_id, _, moment) in last.items()}
    before = StreamSettings(home=tmp_path / "before", stream_batch=300)
    stream(before, [one for one in events if (one.event_timestamp, one.event_id) < until[one.user_pseudo_id]])

    assert set(last) == {event.user_pseudo_id for event in events}
    with closing(open_warehouse(before.warehouse_url)) as warehouse:
        by_sql = dict(states_now(warehouse, None))
    with open_reader(before.paths.features) as features:
        for player, (event_id, state, moment) in last.items():
            kept = features.get(player)
            assert kept == state == by_sql.get(player), player
            assert repr(spend_inputs(kept, by_id[event_id])) == repr(inputs_at(state, moment)), player
