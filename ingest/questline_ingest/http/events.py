"""JSON events in, shaped like rows of the GA4 export, and JSON answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from questline_core.errors import BadInput
from questline_core.events.checks import Problem
from questline_core.events.columns import Kind
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.convert import Batch
from questline_ingest.gateway import Answered
from questline_ingest.imports.ga4 import Ga4Rows
from questline_ingest.imports.values import Unreadable, shown, take
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.verdicts import ChurnPrediction, Outcome, Prediction, Verdict

_MODELS = {"spend": pb.SPEND, "churn": pb.CHURN}


def read_events(raw: bytes) -> Batch:
    """Read one event, a list of events, or `{"events": [...], "predict": ["spend", "churn"]}`.

    Whole numbers are exact to 64 bits, as numbers or as text. An event that cannot be read does not hold the others.

    Raises:
        BadInput: the body is no JSON of one of these forms.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the body is no JSON: {error}") from None
    models: list[int] = []
    if isinstance(body, dict) and "events" in body:
        models = _models(body.get("predict", []))
        body = body["events"]
    rows = body if isinstance(body, list) else [body]
    return read_rows(rows, models)


def read_rows(rows: Sequence[Any], models: Sequence[int], *, skip_unknown: bool = False) -> Batch:
    """Make a batch of JSON values, one an event."""
    reader = Ga4Rows(skip_unknown=skip_unknown)
    events, payloads, unreadable = [], [], {}
    for index, row in enumerate(rows):
        read = _event(reader, row)
        if isinstance(read, Problem):
            unreadable[index] = read
            events.append(Event(event_id=_id(row)))
            payloads.append(_kept(row))
        else:
            events.append(read)
            payloads.append(read.SerializeToString())
    return Batch(events=events, payloads=payloads, models=models, unreadable=unreadable)


def _event(reader: Ga4Rows, row: Any) -> Event | Problem:
    if not isinstance(row, dict):
        return Problem(reason="malformed", field="", message=f"the event is {shown(row)}; send an object")
    try:
        return reader.event(row)
    except Unreadable as error:
        return Problem(reason="malformed", field=error.path, message=str(error))
    except RecursionError:
        return Problem(reason="malformed", field="", message="the event is nested too deeply")


def _id(row: Any) -> str | None:
    """Tell which event it is that cannot be read, if it says so, for the client that looks for its answer."""
    try:
        found: str = take(Kind.STRING, row["event_id"], "event_id")
    except (KeyError, TypeError, Unreadable):
        return None
    return found


def _kept(row: Any) -> bytes:
    """Write a value that is no event for the reject store; what is nested too deeply to be written is not kept."""
    try:
        return orjson.dumps(row)
    except (orjson.JSONEncodeError, RecursionError):
        return b""


def _models(asked: Any) -> list[int]:
    if not isinstance(asked, list) or not all(isinstance(name, str) and name in _MODELS for name in asked):
        raise BadInput('predict is a list of models; send some of ["spend", "churn"]')
    return [_MODELS[name] for name in asked]


def answers(answered: Answered) -> list[Mapping[str, Any]]:
    """Say what became of every event, in the words of the proto."""
    return [
        _answer(verdict, answered.spends.get(index), answered.churns.get(index))
        for index, verdict in enumerate(answered.verdicts)
    ]


def _answer(verdict: Verdict, spend: Prediction | None, churn: ChurnPrediction | None) -> Mapping[str, Any]:
    told: dict[str, Any] = {"event_id": verdict.event_id, "outcome": verdict.outcome.name}
    if verdict.problem:
        told["problem"] = asdict(verdict.problem)
    if verdict.outcome is Outcome.REFUSED and verdict.refusal:
        told["problem"] = {"reason": verdict.refusal.reason, "field": "", "message": verdict.refusal.message}
        told["retry_after_ms"] = max(1, round(verdict.refusal.retry_after_s * 1000))
    if spend:
        told["spend"] = {**asdict(spend.spend), "source": spend.source.name, "reason": spend.reason}
    if churn:
        told["churn"] = {**asdict(churn.churn), "source": churn.source.name, "reason": churn.reason}
    return told
