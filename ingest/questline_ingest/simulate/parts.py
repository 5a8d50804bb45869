"""The pieces of an event as they lie on the wire: events are put together by joining them.

Protobuf promises that joined messages parse as merged ones, so what does not change is encoded once.
"""

from __future__ import annotations

from functools import lru_cache

from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue

Piece = bytes
"""A part of an event: a serialized `Event` with a few fields set."""


def _piece(key: str, value: ParamValue) -> Piece:
    return Event(event_params=[Param(key=key, value=value)]).SerializeToString()


@lru_cache(maxsize=4096)
def text(key: str, value: str) -> Piece:
    """Make a param with a text value."""
    return _piece(key, ParamValue(string_value=value))


@lru_cache(maxsize=4096)
def whole(key: str, value: int) -> Piece:
    """Make a param whose value lies in the integer slot."""
    return _piece(key, ParamValue(int_value=value))


@lru_cache(maxsize=4096)
def double(key: str, value: float) -> Piece:
    """Make a param whose value lies in the double slot."""
    return _piece(key, ParamValue(double_value=value))


@lru_cache(maxsize=128)
def name(event_name: str) -> Piece:
    """Make the event's name."""
    return Event(event_name=event_name).SerializeToString()


def dollars(value: float) -> Piece:
    """Make the event's value in US dollars."""
    return Event(event_value_in_usd=value).SerializeToString()
