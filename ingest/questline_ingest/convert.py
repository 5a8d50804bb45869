"""Bytes of a call in, broker messages and bytes of an answer out: nothing behind this file knows the wire."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import chain, repeat
from operator import concat, not_
from types import MappingProxyType
from typing import NamedTuple

from google.protobuf.message import DecodeError

from questline_core.broker.port import EVENT, REJECT, Message
from questline_core.errors import BadInput
from questline_core.events.checks import ORIGIN_CLIENT, Columns, Problem
from questline_core.events.days import day_of
from questline_core.pb.broker_pb2 import Reject
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.auth.keys import Caller
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.wire_pb2 import RawSendRequest
from questline_ingest.verdicts import ChurnPrediction, Prediction, Verdict

SOURCE = "gateway"
_LONGEST_WORD = 128
_EVENT_TAG, _SHORT = 0x0A, 0x80
"""Before each event of a `SendRequest`, and the first length that takes two bytes."""
_LONGEST_SHORT_ID = 123
"""Bytes of an id with which an answer is below 128 bytes, so that each length is one byte."""

UNREADABLE = Problem(
    reason="malformed", field="", message="these bytes are no serialized questline.telemetry.v1.Event; use the stubs"
)


class Batch(NamedTuple):
    """The events of one call."""

    events: Sequence[Event]
    """In the order of the call; an event that could not be read is empty here and named in `unreadable`."""
    payloads: Sequence[bytes]
    """The bytes of every event, as they came."""
    models: Collection[int]
    """What is asked of every player: numbers of `Model`."""
    unreadable: Mapping[int, Problem] = MappingProxyType({})


class Lone(NamedTuple):
    """The only event of a request, as it came, and what is asked of its player."""

    payload: bytes
    models: Sequence[int]


def lone_event(raw: bytes) -> Lone | None:
    """Cut the event out of a `SendRequest` that holds one, and that of 128 bytes to 16 kB; None for any other bytes."""
    if len(raw) <= _SHORT or raw[0] != _EVENT_TAG or not raw[1] >= _SHORT > raw[2]:
        return None
    end = 3 + (raw[1] - _SHORT | raw[2] << 7)
    if end == len(raw):
        return Lone(raw[3:], ())
    models = _models_alone(raw[end:]) if end < len(raw) <= end + _SHORT else None
    return None if models is None else Lone(raw[3:end], models)


@lru_cache(maxsize=64)
def _models_alone(raw: bytes) -> Sequence[int] | None:
    """Read what is behind the event of a request, if that is no other event."""
    try:
        rest = RawSendRequest.FromString(raw)
    except DecodeError:
        return None
    return None if rest.events else tuple(rest.predict)


def read_alike(payloads: Sequence[bytes], models: Sequence[int]) -> Batch:
    """Make one batch of the events of several requests that ask the same."""
    if len(payloads) > 1:
        heads = [b"\x0a%c%c" % (len(one) & 0x7F | _SHORT, len(one) >> 7) for one in payloads]
        joined = b"".join(chain.from_iterable(zip(heads, payloads, strict=True)))
        with suppress(DecodeError):
            return Batch(events=pb.SendRequest.FromString(joined).events, payloads=payloads, models=models)
    return _read_one_by_one(payloads, models)


def read_batch(raw: bytes) -> Batch:
    """Read the bytes of a `SendRequest`; one event that cannot be read does not take the others with it.

    Raises:
        BadInput: these bytes are no `SendRequest`.
    """
    try:
        cut = RawSendRequest.FromString(raw)
    except DecodeError:
        raise BadInput(
            f"these {len(raw)} bytes are no serialized questline.ingest.v1.SendRequest; use the published stubs"
        ) from None
    payloads, models = list(cut.events), cut.predict
    try:
        # All at once is a third cheaper than one by one.
        return Batch(events=pb.SendRequest.FromString(raw).events, payloads=payloads, models=models)
    except DecodeError:
        return _read_one_by_one(payloads, models)


def _read_one_by_one(payloads: Sequence[bytes], models: Collection[int]) -> Batch:
    events, unreadable = [], {}
    for index, payload in enumerate(payloads):
        try:
            events.append(Event.FromString(payload))
        except DecodeError:
            events.append(Event())
            unreadable[index] = UNREADABLE
    return Batch(events=events, payloads=payloads, models=models, unreadable=unreadable)


class Stamp:
    """What the gateway adds to the events of one call, in bytes that are put behind theirs.

    In protobuf the last value of a field counts, so what a client set of these fields is overwritten, and nothing else
    is touched.
    """

    def __init__(self, *, title: str, time_micros: int, trace: str, is_test: bool = False) -> None:
        self.time_micros, self.time_millis = time_micros, str(time_micros // 1000)
        self.trace = trace
        self._title, self._is_test = title, is_test
        self._made: dict[tuple[bool, bool, str], bytes] = {}

    def of(self, columns: Columns) -> list[bytes]:
        """Give the bytes for each of these events, which keep the contract."""
        days = [
            "" if date else day_of(time) for date, time in zip(columns.event_date, columns.event_timestamp, strict=True)
        ]
        needs = list(zip(map(not_, columns.title), map(not_, columns.origin), days, strict=True))
        for need in set(needs).difference(self._made):
            self._made[need] = self._make(*need)
        return [self._made[need] for need in needs]

    def _make(self, needs_title: bool, needs_origin: bool, date: str) -> bytes:
        return Event(
            received_time=self.time_micros,
            trace=self.trace or None,
            is_test=self._is_test or None,
            title=self._title if needs_title else None,
            origin=ORIGIN_CLIENT if needs_origin else None,
            event_date=date or None,
        ).SerializeToString()


_message = partial(tuple.__new__, Message)


def event_messages(columns: Columns, payloads: Sequence[bytes], stamp: Stamp) -> list[Message]:
    """Wrap accepted events; the attribute `time` is when the gateway took them, milliseconds since 1970 UTC."""
    time = stamp.time_millis
    traces = repeat(stamp.trace) if stamp.trace else [trace[:_LONGEST_WORD] for trace in columns.trace]
    attributes = [
        {"kind": EVENT, "id": event_id, "name": name, "time": time, "trace": trace}
        for event_id, name, trace in zip(columns.event_id, columns.event_name, traces, strict=False)
    ]
    return list(map(_message, zip(map(concat, payloads, stamp.of(columns)), attributes, strict=True)))


def reject_message(payload: bytes, problem: Problem, *, event: Event, caller: Caller, time_micros: int) -> Message:
    """Wrap an event that breaks the contract, with its bytes as they came, under the title that sent it."""
    reject = Reject(
        payload=payload,
        reason=problem.reason,
        field=problem.field,
        message=problem.message,
        source=SOURCE,
        time_micros=time_micros,
        event_id=event.event_id[:_LONGEST_WORD],
        title=(caller.title or event.title)[:_LONGEST_WORD],
        is_test=caller.is_test,
    )
    attributes = {
        "kind": REJECT,
        "id": event.event_id[:_LONGEST_WORD],
        "name": problem.reason,
        "time": str(time_micros // 1000),
        "trace": event.trace[:_LONGEST_WORD],
    }
    return Message(reject.SerializeToString(), attributes)


def write_answers(
    verdicts: Sequence[Verdict], spends: Mapping[int, Prediction], churns: Mapping[int, ChurnPrediction]
) -> bytes:
    """Serialize a `SendResponse`: one answer a verdict, with the predictions at its index."""
    return b"".join(written_answers(verdicts, spends, churns))


def written_answers(
    verdicts: Sequence[Verdict], spends: Mapping[int, Prediction], churns: Mapping[int, ChurnPrediction]
) -> list[bytes]:
    """Serialize a `SendResponse` for each verdict alone; joined they are one for all."""
    asked = bool(spends or churns)
    parts = []
    for index, (text, outcome, problem, refusal) in enumerate(verdicts):
        event_id = text.encode()
        size = len(event_id)
        if asked or problem or refusal or size > _LONGEST_SHORT_ID:
            parts.append(_answer(verdicts[index], spends.get(index), churns.get(index)))
        else:
            # The same bytes at a tenth of the cost: field 1 of the response, in it fields 1 (the id) and 2 (outcome).
            parts.append(b"\x0a%c\x0a%c%b\x10%c" % (size + 4, size, event_id, outcome))
    return parts


def write_turned_away(reason: str, message: str, *, retry_after_s: float | None) -> bytes:
    """Serialize the `SendResponse` of a request that was turned away as a whole."""
    problem = pb.Problem(reason=reason, message=message)
    return pb.SendResponse(
        problem=problem, retry_after_ms=_millis(retry_after_s) if retry_after_s else 0
    ).SerializeToString()


def _answer(verdict: Verdict, spend: Prediction | None, churn: ChurnPrediction | None) -> bytes:
    response = pb.SendResponse()
    answer = response.answers.add(event_id=verdict.event_id, outcome=pb.Outcome.ValueType(verdict.outcome))
    if verdict.refusal:
        answer.problem.reason, answer.problem.message = verdict.refusal.reason, verdict.refusal.message
        answer.retry_after_ms = _millis(verdict.refusal.retry_after_s)
    elif verdict.problem:
        answer.problem.reason = verdict.problem.reason
        answer.problem.field = verdict.problem.field
        answer.problem.message = verdict.problem.message
    if spend:
        _write_spend(answer.spend, spend)
    if churn:
        _write_churn(answer.churn, churn)
    return response.SerializeToString()


def _millis(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _write_spend(message: pb.SpendPrediction, prediction: Prediction) -> None:
    spend = prediction.spend
    message.value, message.probability = spend.value, spend.probability
    message.lower_bound, message.upper_bound = spend.lower_bound, spend.upper_bound
    message.revision, message.reason = spend.revision, prediction.reason
    message.source = pb.Source.ValueType(prediction.source)


def _write_churn(message: pb.ChurnPrediction, prediction: ChurnPrediction) -> None:
    churn = prediction.churn
    message.probability, message.model = churn.probability, churn.model
    message.generation, message.is_prior = churn.generation, churn.is_prior
    message.source, message.reason = pb.Source.ValueType(prediction.source), prediction.reason
