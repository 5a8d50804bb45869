"""Check an event against the contract, and fill in what the server adds.

| rule | reason |
|---|---|
| the whole event takes at most 1 MiB serialized | too_large |
| `event_id`, `event_name`, `user_pseudo_id`, `event_timestamp`, and the key of every param and property | missing |
| texts keep their lengths, any text is at most 64 KiB of UTF-8 | too_long |
| at most 256 params, properties, items, and params of an item | too_many |
| `event_timestamp` is in microseconds and in the years 2000 to 2099, `client_time` in 1 to 9999 | out_of_range |
| `event_id` and `title` hold no control characters, `event_date` is a day | malformed |

NaN and the infinities are values of FLOAT and are stored as they came, as BigQuery does: real exports hold them, and an
event is worth more than one bad number in it. A query that adds up guards itself with IS_NAN and IS_INF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from google.protobuf.message import Message

from questline_core.events.days import day_number, day_of
from questline_core.pb.telemetry_pb2 import Event, Item, Param, UserProperty

Reason = Literal[
    "missing",
    "too_long",
    "out_of_range",
    "malformed",
    "too_large",
    "too_many",
    "wrong_title",
    "unprocessable",
    "unstorable",
]
"""Why something was rejected: for the last two by the stream, for the one before by whose key an event came with."""

MAX_EVENT_BYTES = 1024 * 1024
"""Bytes of one serialized event."""
MAX_TEXT_BYTES = 64 * 1024
"""Bytes of UTF-8 of any one text in an event."""
MAX_ID, MAX_TITLE, MAX_NAME, MAX_PLAYER, MAX_KEY = 128, 64, 128, 256, 128
"""Characters."""
MAX_PARTS = 256
"""Params, properties, items of an event; params of an item."""
MIN_TIME_US, END_TIME_US = 946_684_800_000_000, 4_102_444_800_000_000
"""2000-01-01 (first) and 2100-01-01 (first that is refused) in microseconds since 1970-01-01 UTC."""
MIN_STORED_US, END_STORED_US = -62_135_596_800_000_000, 253_402_300_800_000_000
"""0001-01-01 and 10000-01-01: what a TIMESTAMP column can hold."""

ORIGIN_CLIENT, ORIGIN_IMPORT, ORIGIN_GENERATED = "client", "import", "generated"
"""Values of `origin`."""

# To visit 14 params from Python costs more than all other checks together, so their keys are checked in the event's
# bytes: behind the tag of a param and its length comes the tag of the key and a length of 1 to 127 bytes. What looks
# different (a letter j in a text does, too) is visited.


def _parts_unlike(start: bytes) -> Sequence[re.Pattern[bytes]]:
    parts = Event(event_params=[Param()]), Event(user_properties=[UserProperty()])
    return [re.compile(re.escape(part.SerializeToString()[:-1]) + b"(?!" + start + b")") for part in parts]


_SUSPICIOUS_PARAM, _SUSPICIOUS_PROPERTY = _parts_unlike(rb"[\x80-\xff]*[\x01-\x7f]\n[\x01-\x7f]")
# Bytes that were not written here may name a key twice, of which the last counts, or write a number longer than it must
# be: to trust them, a param has to be short, so that none of its keys is long, and there is no empty text and no number
# that ends in a zero.
_FOREIGN_PARAM, _FOREIGN_PROPERTY = _parts_unlike(rb"[\x01-\x7f]\n[\x01-\x7f]")
_FOREIGN_ZERO = re.compile(rb"\x00(?<=[\n\x80-\xff]\x00)")
_ITEM_TAG = Event(items=[Item()]).SerializeToString()[:-1]
_ITEM = re.compile(re.escape(_ITEM_TAG))
_FEW_PARTS_BYTES = 5 * MAX_PARTS
"""An event of this size has not too many params: one with a key has two tags, two lengths and a letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an event breaks the contract, for a program (reason, field) and for the person who mends it (message)."""

    reason: Reason
    field: str
    """Path of the field, such as `event_params[3].key`; empty when the whole event is meant."""
    message: str


class Columns(NamedTuple):
    """What is asked of every event, one value an event. A read costs as much as a check: there is one of each field."""

    event_id: Sequence[str]
    event_name: Sequence[str]
    user_pseudo_id: Sequence[str]
    event_timestamp: Sequence[int]
    client_time: Sequence[int]
    title: Sequence[str]
    event_date: Sequence[str]
    origin: Sequence[str]
    trace: Sequence[str]

    def at(self, places: Sequence[int]) -> Columns:
        """Give the events at these places."""
        return Columns._make([column[place] for place in places] for column in self)


_read = attrgetter(*Columns._fields)


def columns_of(events: Iterable[Event]) -> Columns:
    """Read the fields of one event or more."""
    return Columns._make(zip(*map(_read, events), strict=True))


def all_fine(columns: Columns, events: Sequence[Event], payloads: Sequence[bytes]) -> bool:
    """Tell that all events keep the contract, for a tenth of what it costs to check each; if not, one may still do so.

    Args:
        columns: of these events.
        events: one or more.
        payloads: the bytes that each was read from.
    """
    ids, titles = columns.event_id, set(columns.title)
    return (
        _all_within(ids, MAX_ID)
        and "".join(ids).isprintable()
        and _all_within(columns.event_name, MAX_NAME)
        and _all_within(columns.user_pseudo_id, MAX_PLAYER)
        and min(columns.event_timestamp) >= MIN_TIME_US
        and max(columns.event_timestamp) < END_TIME_US
        and all(len(title) <= MAX_TITLE and title.isprintable() for title in titles)
        and min(columns.client_time) >= MIN_STORED_US
        and max(columns.client_time) < END_STORED_US
        and all(not date or day_number(date) is not None for date in set(columns.event_date))
        and max(map(len, payloads)) <= MAX_TEXT_BYTES
        and all(map(_has_few_parts, events, payloads))
        and (_parts_are_fine(b"".join(payloads)) or all(map(_parts_of_one_are_fine, events, payloads)))
    )


def check(event: Event, data: bytes | None = None) -> Problem | None:
    """Find the first rule that an event breaks; None when it keeps the contract.

    Args:
        event: stays as it is.
        data: the bytes that it was read from, if they are at hand; to write it again costs as much as the rest.
    """
    if data is None:
        data = event.SerializeToString()
    if len(data) > MAX_EVENT_BYTES and (size := event.ByteSize()) > MAX_EVENT_BYTES:
        return _too_large(size)
    # Only an event that fails is looked at rule by rule.
    return None if all_fine(columns_of([event]), [event], [data]) else next(_problems(event), None)


def foreign(title: str, own: str) -> Problem | None:
    """Find that an event names another title than the one that its key is of; a caller without a key has none."""
    if not own or title in {"", own}:
        return None
    return _problem("wrong_title", "title", "the key is of another title; leave title empty or use its own key")


def complete(event: Event, *, title: str, received_time: int) -> None:
    """Fill in place what the server knows: title and origin if missing, when it came, the UTC day if it has none.

    Args:
        event: one that `check` found no problem in.
        title: for an event that brings none.
        received_time: microseconds since 1970-01-01 UTC; replaces whatever the event brought.
    """
    event.received_time = received_time
    if not event.title:
        event.title = title
    if not event.origin:
        event.origin = ORIGIN_CLIENT
    if not event.event_date:
        event.event_date = day_of(event.event_timestamp)


def _all_within(texts: Sequence[str], most: int) -> bool:
    return all(texts) and max(map(len, texts)) <= most


def _has_few_parts(event: Event, data: bytes) -> bool:
    return len(data) <= _FEW_PARTS_BYTES or max(len(event.event_params), len(event.user_properties)) <= MAX_PARTS


def _parts_are_fine(data: bytes) -> bool:
    """Tell of the bytes of one event or more that they hold no items, and a short key in each param and property."""
    return not (
        (b"\0" in data and _FOREIGN_ZERO.search(data))
        or _FOREIGN_PARAM.search(data)
        or _FOREIGN_PROPERTY.search(data)
        or (_ITEM_TAG[:1] in data and _ITEM.search(data))
    )


def _parts_of_one_are_fine(event: Event, data: bytes) -> bool:
    if _parts_are_fine(data):
        return True
    if event.items:
        return False
    data = event.SerializeToString()
    if not _SUSPICIOUS_PARAM.search(data) and not _SUSPICIOUS_PROPERTY.search(data):
        return True
    keys = [part.key for part in event.event_params] + [part.key for part in event.user_properties]
    return all(keys) and max(map(len, keys), default=0) <= MAX_KEY


def _problems(event: Event) -> Iterator[Problem]:
    """Yield every rule that is broken, identity first."""
    yield from _text_problems(event, "event_id", MAX_ID)
    yield from _text_problems(event, "event_name", MAX_NAME)
    yield from _text_problems(event, "user_pseudo_id", MAX_PLAYER)
    yield from _text_problems(event, "title", MAX_TITLE, required=False)
    for field in ("event_id", "title"):
        if _has_control_characters(getattr(event, field)):
            yield _problem("malformed", field, f"{field} holds control characters; send printable text")
    yield from _time_problems(event)
    yield from _part_problems(event)
    if event.ByteSize() > MAX_TEXT_BYTES:
        yield from _long_texts(event, "")


def _text_problems(event: Event, field: str, most: int, *, required: bool = True) -> Iterator[Problem]:
    length = len(getattr(event, field))
    if required and not length:
        yield _problem("missing", field, f"{field} is missing; send a text of 1 to {most} characters")
    if length > most:
        yield _problem("too_long", field, f"{field} has {length} characters; send at most {most}")


def _has_control_characters(text: str) -> bool:
    return any(char < " " or "\x7f" <= char < "\xa0" for char in text)


def _time_problems(event: Event) -> Iterator[Problem]:
    time = event.event_timestamp
    if not event.HasField("event_timestamp"):
        yield _problem(
            "missing", "event_timestamp", "event_timestamp is missing; send microseconds since 1970-01-01 UTC"
        )
    elif not MIN_TIME_US <= time < END_TIME_US:
        yield _problem("out_of_range", "event_timestamp", f"event_timestamp {time} {_unit_advice(time)}")
    if not MIN_STORED_US <= event.client_time < END_STORED_US:
        yield _problem(
            "out_of_range", "client_time", f"client_time {event.client_time} {_unit_advice(event.client_time)}"
        )
    if event.event_date and day_number(event.event_date) is None:
        yield _problem(
            "malformed",
            "event_date",
            f"event_date {event.event_date[:32]!r} is no day; send one as YYYYMMDD, or leave it out for the UTC day",
        )


def _unit_advice(time: int) -> str:
    for factor, unit in ((1_000_000, "seconds"), (1_000, "milliseconds")):
        if MIN_TIME_US <= time * factor < END_TIME_US:
            return f"looks like {unit}; send microseconds since 1970-01-01 UTC (multiply by {factor})"
    if MIN_TIME_US <= time // 1_000 < END_TIME_US:
        return "looks like nanoseconds; send microseconds since 1970-01-01 UTC (divide by 1000)"
    return "is outside the years that are stored; send microseconds since 1970-01-01 UTC"


def _part_problems(event: Event) -> Iterator[Problem]:
    yield from _key_problems(event.event_params, "event_params")
    yield from _key_problems(event.user_properties, "user_properties")
    yield from _too_many(event.items, "items")
    for index, item in enumerate(event.items):
        yield from _key_problems(item.item_params, f"items[{index}].item_params")


def _too_many(parts: Sequence[Any], field: str) -> Iterator[Problem]:
    if len(parts) > MAX_PARTS:
        yield _problem("too_many", field, f"{field} has {len(parts)} entries; send at most {MAX_PARTS}")


def _key_problems(parts: Sequence[Any], field: str) -> Iterator[Problem]:
    yield from _too_many(parts, field)
    for index, part in enumerate(parts):
        path = f"{field}[{index}].key"
        if not part.key:
            yield _problem("missing", path, f"{path} is missing; give every entry of {field} a key")
        elif len(part.key) > MAX_KEY:
            yield _problem("too_long", path, f"{path} has {len(part.key)} characters; send at most {MAX_KEY}")


def _long_texts(message: Message, path: str) -> Iterator[Problem]:
    for descriptor, value in message.ListFields():
        field = f"{path}{descriptor.name}"
        if isinstance(value, str):
            if len(value.encode()) > MAX_TEXT_BYTES:
                yield _problem(
                    "too_long", field, f"{field} has {len(value.encode())} bytes of text; send at most {MAX_TEXT_BYTES}"
                )
        elif descriptor.is_repeated:
            for index, part in enumerate(value):
                yield from _long_texts(part, f"{field}[{index}].")
        elif isinstance(value, Message):
            yield from _long_texts(value, f"{field}.")


def _too_large(size: int) -> Problem:
    message = f"the event takes {size} bytes; send at most {MAX_EVENT_BYTES} (1 MiB), large data belongs elsewhere"
    return _problem("too_large", "", message)


def _problem(reason: Reason, field: str, message: str) -> Problem:
    return Problem(reason=reason, field=field, message=message)
