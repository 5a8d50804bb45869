"""Tell whether bytes are of a player, and erase those that wait in the broker."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from questline_core.broker.port import REJECT, SERVED, Broker, Message
from questline_core.pb.broker_pb2 import Reject, Served
from questline_core.pb.telemetry_pb2 import Event


def player_of(payload: bytes) -> str:
    """Name the player of an event; empty when the bytes are no event, or tell none."""
    try:
        return Event.FromString(payload).user_pseudo_id
    except DecodeError:
        return ""


def payload_names(payload: bytes, player: str) -> bool:
    """Tell whether an event is of a player; bytes that tell no player are searched for the id as it is."""
    named = player_of(payload)
    return named == player if named else player.encode() in payload


def message_names(message: Message, player: str) -> bool:
    """Tell whether a message of the broker is of a player: an event, what was rejected, or what a model answered."""
    payload = message.data
    if message.attributes.get("kind") == SERVED:
        with contextlib.suppress(DecodeError):
            return Served.FromString(payload).user_pseudo_id == player
    if message.attributes.get("kind") == REJECT:
        with contextlib.suppress(DecodeError):
            payload = Reject.FromString(payload).payload
    return payload_names(payload, player)


@dataclass(frozen=True, slots=True)
class BrokerHolder:
    """What waits to become rows, what is on its way, and dead letters."""

    broker: Broker
    name: str = "broker"

    def find(self, player: str) -> int:
        """Count messages; asks every message and lets none go."""
        found = 0

        def look(message: Message) -> bool:
            nonlocal found
            found += message_names(message, player)
            return False

        self.broker.erase(look)
        return found

    def erase(self, player: str) -> int:
        """Remove messages, delivered or not, and dead letters."""
        return self.broker.erase(lambda message: message_names(message, player))
