"""Send rejects again, mended or as they are, through the broker and the checks that every event passes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.json_format import MessageToJson, Parse, ParseError

from questline_core.broker.port import EVENT, Broker, Message
from questline_core.errors import BadInput
from questline_core.events.checks import Problem, complete
from questline_core.pb.telemetry_pb2 import Event
from questline_core.rejects.fixes import Rule, mend
from questline_core.rejects.store import Reject, RejectStore

BATCH = 1_000
UNREADABLE = Problem(
    reason="malformed", field="", message="the payload is no event; only a payload written anew can be replayed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What became of one reject."""

    reject: Reject
    event: Event
    problem: Problem | None
    """What still is wrong; None when it can be replayed."""


def try_to_mend(rejects: Iterable[Reject], rules: Sequence[Rule], *, title: str) -> Iterable[Mended]:
    """Mend rejects without sending anything."""
    for reject in rejects:
        event = reject.event()
        if event is None:
            yield Mended(reject=reject, event=Event(), problem=UNREADABLE)
            continue
        own_title = reject.title if reject.reason == "wrong_title" else ""
        problem = mend(event, rules, message_id=reject.message_id, own_title=own_title)
        if problem is None:
            # The title is that of its key, if it came with one. By the time when it first came, a late event is told.
            complete(event, title=reject.title or title, received_time=reject.time_micros)
            if reject.is_test:
                event.is_test = True
        yield Mended(reject=reject, event=event, problem=problem)


async def replay(mended: Sequence[Mended], broker: Broker, store: RejectStore, *, how: str) -> int:
    """Send what is mended, and note that it was sent; returns how many.

    After a crash between the two it is sent once more, with the same event id, which makes no second row.
    """
    ready = [one for one in mended if one.problem is None]
    for start in range(0, len(ready), BATCH):
        batch = ready[start : start + BATCH]
        await broker.publish([_message(one.event) for one in batch])
        store.mark_replayed([(one.reject.message_id, one.event.event_id) for one in batch], how=how)
    return len(ready)


def as_json(reject: Reject) -> str:
    """Write a reject's event, or the JSON that it came as, so that a person can edit it; empty when it is neither."""
    event = reject.event()
    if event is not None:
        return str(MessageToJson(event, preserving_proto_field_name=True, ensure_ascii=False))
    try:
        text = json.dumps(json.loads(reject.payload), indent=2, ensure_ascii=False)
        text.encode()  # fails over half a surrogate pair, which cannot be printed
    except (ValueError, RecursionError):
        return ""
    return text


def read_edited(path: Path) -> Event:
    """Read an event that a person has edited.

    Raises:
        BadInput: the file is no event in JSON; says where.
    """
    try:
        event = Event()
        Parse(path.read_text(encoding="utf-8"), event)
    except (OSError, UnicodeDecodeError, ParseError) as error:
        raise BadInput(
            f"{path} is no event in JSON ({error}); `questline rejects show ID --out FILE` writes one"
        ) from None
    return event


def _message(event: Event) -> Message:
    attributes = {
        "kind": EVENT,
        "id": event.event_id,
        "name": event.event_name,
        "time": str(event.received_time // 1000),
        "trace": event.trace[:128],
    }
    return Message(data=event.SerializeToString(), attributes=attributes)
