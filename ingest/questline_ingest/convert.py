"""Bytes of a call in, broker messages and bytes of an answer out: nothing behind this file knows the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from questline_core.broker.port import EVENT, REJECT, Message
from questline_core.errors import BadInput
from questline_core.events.checks import Problem
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.verdicts import Prediction, Verdict

SOURCE = "gateway"
_LONGEST_WORD = 128
_DELIMITED = 2

UNREADABLE = Problem(
    reason="malformed", field="", message="these bytes are no serialized questline.telemetry.v1.Event; use the stubs"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The events of one call."""

    events: Sequence[Event]
    """In the order of the call; an event that could not be read is empty here and named in `unreadable`."""
    wants_spend: bool
    raw: bytes
    """The call as it came."""
    unreadable: frozenset[int] = field(default_factory=frozenset)

    def payloads(self) -> list[bytes]:
        """Cut the bytes of every event, as they came, out of the call."""
        return _split(self.raw)[0]


def _split(raw: bytes) -> tuple[list[bytes], set[int]]:
    """Take a call apart without reading its events: their bytes, and the models asked."""
    events: list[bytes] = []
    models: set[int] = set()
    parts = UnknownFieldSet(Empty.FromString(raw))
    for part in (parts[index] for index in range(len(parts))):
        delimited = part.wire_type == _DELIMITED
        if part.field_number == pb.SendRequest.EVENTS_FIELD_NUMBER and delimited:
            events.append(part.data)
        elif part.field_number == pb.SendRequest.PREDICT_FIELD_NUMBER:
            # Numbers of models are below 128, so each byte of a packed list is one.
            models.update(part.data if delimited else [part.data])
    return events, models


def read_batch(raw: bytes) -> Batch:
    """Read the bytes of a `SendRequest`; one event that cannot be read does not take the others with it.

    Raises:
        BadInput: these bytes are no `SendRequest`.
    """
    try:
        request = pb.SendRequest.FromString(raw)
    except DecodeError:
        return _read_one_by_one(raw)
    return Batch(events=request.events, wants_spend=pb.SPEND in request.predict, raw=raw)


def _read_one_by_one(raw: bytes) -> Batch:
    try:
        payloads, models = _split(raw)
    except DecodeError:
        raise BadInput(
            f"these {len(raw)} bytes are no serialized questline.ingest.v1.SendRequest; use the published stubs"
        ) from None
    events, unreadable = [], set()
    for index, payload in enumerate(payloads):
        try:
            events.append(Event.FromString(payload))
        except DecodeError:
            events.append(Event())
            unreadable.add(index)
    return Batch(events=events, wants_spend=pb.SPEND in models, raw=raw, unreadable=frozenset(unreadable))


def event_message(event: Event, *, time_micros: int) -> Message:
    """Wrap an accepted event; the attribute `time` is when the gateway took it, milliseconds since 1970 UTC."""
    return _message(EVENT, event.SerializeToString(), event, name=event.event_name, time_micros=time_micros)


def reject_message(payload: bytes, problem: Problem, *, event: Event, time_micros: int) -> Message:
    """Wrap an event that breaks the contract, with its bytes as they came."""
    reject = Reject(
        payload=payload,
        reason=problem.reason,
        field=problem.field,
        message=problem.message,
        source=SOURCE,
        time_micros=time_micros,
        event_id=event.event_id[:_LONGEST_WORD],
        title=event.title[:_LONGEST_WORD],
    )
    return _message(REJECT, reject.SerializeToString(), event, name=problem.reason, time_micros=time_micros)


def _message(kind: str, data: bytes, event: Event, *, name: str, time_micros: int) -> Message:
    attributes = {
        "kind": kind,
        "id": event.event_id[:_LONGEST_WORD],
        "name": name,
        "time": str(time_micros // 1000),
        "trace": event.trace[:_LONGEST_WORD],
    }
    return Message(data=data, attributes=attributes)


def write_answers(verdicts: Sequence[Verdict], spends: Mapping[int, Prediction]) -> bytes:
    """Serialize a `SendResponse`: one answer a verdict, with the prediction at its index."""
    response = pb.SendResponse()
    for index, verdict in enumerate(verdicts):
        answer = response.answers.add(event_id=verdict.event_id, outcome=pb.Outcome.ValueType(verdict.outcome))
        if verdict.refusal:
            answer.problem.reason, answer.problem.message = verdict.refusal.reason, verdict.refusal.message
            answer.retry_after_ms = max(1, round(verdict.refusal.retry_after_s * 1000))
        elif verdict.problem:
            answer.problem.reason = verdict.problem.reason
            answer.problem.field = verdict.problem.field
            answer.problem.message = verdict.problem.message
        if index in spends:
            _write_spend(answer.spend, spends[index])
    return response.SerializeToString()


def _write_spend(message: pb.SpendPrediction, prediction: Prediction) -> None:
    spend = prediction.spend
    message.value, message.probability = spend.value, spend.probability
    message.lower_bound, message.upper_bound = spend.lower_bound, spend.upper_bound
    message.revision, message.reason = spend.revision, prediction.reason
    message.source = pb.Source.ValueType(prediction.source)
