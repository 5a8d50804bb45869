"""Events that break the contract, made from valid ones, so that rejects can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.simulate.dice import Dice
from questline_ingest.simulate.world import World

_MARK = "-broken"
"""Ends the id of an event that was made to be rejected."""


def is_broken(event: Event) -> bool:
    """Tell whether an event is one of those that break the contract."""
    return event.event_id.endswith(_MARK)


def _nameless(event: Event) -> None:
    event.ClearField("event_name")


def _nobody(event: Event) -> None:
    event.ClearField("user_pseudo_id")


def _in_1970(event: Event) -> None:
    event.event_timestamp = 9


def _long_name(event: Event) -> None:
    event.event_name *= 40


def _bad_date(event: Event) -> None:
    event.event_date = "20261399"


BREAKS: tuple[Callable[[Event], None], ...] = (_nameless, _nobody, _in_1970, _long_name, _bad_date)


def with_broken(world: World, stream: Iterable[list[tuple[int, bytes]]]) -> Iterator[list[tuple[int, bytes]]]:
    """Add events that each break one rule of the contract, with ids of their own; the valid ones stay as they are."""
    dice = Dice(world.key("broken"))
    for batch in stream:
        chosen = [(at, data) for at, data in batch if dice.happens(world.invalid_rate)]
        yield sorted(batch + [(at, _broken(data, dice)) for at, data in chosen])


def _broken(data: bytes, dice: Dice) -> bytes:
    event = Event.FromString(data)
    event.event_id += _MARK
    dice.choice(BREAKS)(event)
    return event.SerializeToString(deterministic=True)
