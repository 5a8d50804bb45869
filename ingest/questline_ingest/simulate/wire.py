"""The pieces of an event as they lie on the wire: events are put together by joining them, and never parsed.

Protobuf promises that joined messages parse as merged ones, so what does not change is encoded once. Pieces are joined
in the order of their field numbers: the bytes are those that protobuf itself would write.
"""

from __future__ import annotations

from functools import cache, lru_cache

from google.protobuf.message import Message

from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue

Piece = bytes
"""A part of an event: a serialized `Event` with a few fields set."""

_CHUNK = 1 << 14
TWO_BYTES = [bytes((low & 127 | 128, low >> 7 | 128)) for low in range(_CHUNK)]
"""Fourteen bits of a number as two bytes that say that more follows."""


def varint(number: int) -> bytes:
    """Encode a 64-bit number, negative ones in ten bytes, as protobuf does."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = b""
    while number >= _CHUNK:
        encoded += TWO_BYTES[number & 16_383]
        number >>= 14
    return encoded + _last(number)


def moment(micros: int) -> bytes:
    """Encode a time (microseconds since 1970) like `varint`, at half the cost: its high digits rarely change."""
    return TWO_BYTES[micros & 16_383] + TWO_BYTES[(micros >> 14) & 16_383] + high(micros >> 28)


@lru_cache(maxsize=65_536)
def high(number: int) -> bytes:
    """Encode what is left of a time after its lowest 28 bits; it changes every four minutes."""
    return varint(number)


@cache
def _last(number: int) -> bytes:
    return bytes((number & 127 | 128, number >> 7)) if number > 127 else bytes((number,))  # noqa: PLR2004


def encoded(message: Message) -> Piece:
    """Serialize a message, the same in every process."""
    return message.SerializeToString(deterministic=True)


def _param(key: str, value: ParamValue) -> Piece:
    return encoded(Event(event_params=[Param(key=key, value=value)]))


@lru_cache(maxsize=4096)
def text(key: str, value: str) -> Piece:
    """Make a param with a text value."""
    return _param(key, ParamValue(string_value=value))


@lru_cache(maxsize=4096)
def whole(key: str, value: int) -> Piece:
    """Make a param whose value lies in the integer slot."""
    return _param(key, ParamValue(int_value=value))


@lru_cache(maxsize=4096)
def double(key: str, value: float) -> Piece:
    """Make a param whose value lies in the double slot."""
    return _param(key, ParamValue(double_value=value))


@cache
def before_digits(key: str, length: int) -> Piece:
    """Give what stands before the digits of a whole number in a param: the varint of so many bytes comes last."""
    longest = -1 if length == 10 else (1 << 7 * length) - 1  # noqa: PLR2004 - a negative number takes ten bytes
    return _param(key, ParamValue(int_value=longest))[:-length]


@cache
def named(event_name: str, event_origin: str) -> Piece:
    """Make the event's name and the param that tells who logged it."""
    origin = Param(key="firebase_event_origin", value=ParamValue(string_value=event_origin))
    return encoded(Event(event_name=event_name, event_params=[origin]))
