"""What models answered about a player goes with the player: from the broker, and from the table."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import closing

from questline_core.broker.port import MAX_ATTEMPTS, SERVED, Broker, Message, open_broker
from questline_core.events.rows import to_table
from questline_core.events.schema import arrow_schema
from questline_core.pb.broker_pb2 import Feature, Served
from questline_core.settings import PlatformSettings
from questline_core.stack.supervisor import questline_command
from questline_core.warehouse.port import PREDICTIONS, open_warehouse

GONE, STAYS = "player-that-goes", "player-that-goes-not"


def an_answer(player: str, number: int) -> Served:
    return Served(
        prediction_id=f"e{number}-{player}/spend",
        event_id=f"e{number}-{player}",
        model="spend",
        user_pseudo_id=player,
        served_time=1_800_000_000_000_000,
        features=[Feature(name="events", number=7.0)],
    )


def publish(broker: Broker, number: int) -> None:
    answers = [an_answer(player, number).SerializeToString() for player in (GONE, STAYS)]
    asyncio.run(broker.publish([Message(one, {"kind": SERVED}) for one in answers]))


def test_forget_removes_a_players_answers_and_nobody_elses(settings: PlatformSettings) -> None:
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(PREDICTIONS, arrow_schema(Served))
        rows = [an_answer(player, number) for player in (GONE, STAYS) for number in range(3)]
        warehouse.append(PREDICTIONS, to_table(Served, rows), key="prediction_id")
    with closing(open_broker(settings.broker_url)) as broker:
        publish(broker, 3)
        for _ in range(MAX_ATTEMPTS):  # both become dead letters
            broker.nack([delivery.ack_id for delivery in broker.pull(max_messages=9, lease_s=60)])
        publish(broker, 4)

    done = subprocess.run(
        questline_command("forget", GONE, "--json"),
        env={**os.environ, "QUESTLINE_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    removed = {place["place"]: place["removed"] for place in json.loads(done.stdout)["places"] if place["removed"]}
    assert removed == {"broker": 2, f"table {PREDICTIONS}": 3}
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        players = warehouse.query("SELECT user_pseudo_id FROM telemetry.predictions")["user_pseudo_id"].to_pylist()
    assert players == [STAYS] * 3
