"""Ask a running gateway about players, as a game client would, for a person who wants to see the answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.calling import CallerSettings
from questline_ingest.client import Client, OnAnswers, SendReport
from questline_ingest.pb import ingest_pb2 as pb

Told = dict[str, Any]
"""One answer, with values that JSON can hold."""


def ask_about(
    caller: CallerSettings, players: Sequence[str], models: Sequence[str], *, event_name: str, is_test: bool
) -> tuple[list[Told], SendReport]:
    """Send one event for each player in a call of its own, and tell each answer with its latency in milliseconds.

    Args:
        caller: where the gateway is, and what it asks of its callers.
        players: whom to ask about.
        models: `spend`, `churn` or both, which are asked side by side; each answer has what they said by these names.
        event_name: of the events.
        is_test: marks the events as a test.

    Raises:
        NotReady: no gateway answers at the address.
    """
    told: list[Told] = []
    report, asked = SendReport(), [pb.Model.Value(model.upper()) for model in models]
    with Client(caller.listen, access=caller.access, connect_timeout_s=3.0, give_up_after_s=10.0) as client:
        for player in players:
            answers: list[pb.Answer] = []
            event = _event(player, event_name, is_test=is_test)
            began = time.perf_counter()
            report += client.send_all([event], predict=asked, on_answers=_keep(answers))
            told.append(_told(player, answers[-1], latency_ms=(time.perf_counter() - began) * 1000))
    return told, report


def as_line(told: Told) -> str:
    """Say one answer in a line for a person."""
    head = f"{told['player']}  {told['outcome']}"
    if told["problem"]:
        return f"{head}: {told['problem']}"
    parts = [words(told[model]) for model, words in _WORDS.items() if model in told]
    return "  ".join((head, *parts, f"{told['latency_ms']:.1f} ms"))


def _spend_words(spend: Told) -> str:
    return (
        f"spends {spend['value']:.2f} in 24 h ({spend['lower_bound']:.2f} to {spend['upper_bound']:.2f}), "
        f"any: {spend['probability']:.1%}  [{_from(spend, spend['revision'])}]"
    )


def _churn_words(churn: Told) -> str:
    known = "the prior" if churn["is_prior"] else churn["model"]
    return f"leaves: {churn['probability']:.1%} ({known})  [{_from(churn, churn['generation'])}]"


_WORDS = {"spend": _spend_words, "churn": _churn_words}


def _from(told: Told, revision: str) -> str:
    return f"{told['source']}: {told['reason']}" if told["reason"] else f"revision {revision}"


def _keep(kept: list[pb.Answer]) -> OnAnswers:
    def keep(_events: Sequence[Event], answers: Sequence[pb.Answer], _attempt: int) -> None:
        kept.extend(answers)

    return keep


def _event(player: str, event_name: str, *, is_test: bool) -> Event:
    return Event(
        event_id=str(uuid4()),
        event_name=event_name,
        event_timestamp=time.time_ns() // 1000,
        user_pseudo_id=player,
        is_test=is_test,
    )


def _told(player: str, answer: pb.Answer, *, latency_ms: float) -> Told:
    return {
        "player": player,
        "event_id": answer.event_id,
        "outcome": pb.Outcome.Name(answer.outcome),
        "problem": answer.problem.message,
        **{model: _fields(getattr(answer, model)) for model in _WORDS if answer.HasField(model)},  # type: ignore[arg-type]
        "latency_ms": round(latency_ms, 2),
    }


def _fields(prediction: pb.SpendPrediction | pb.ChurnPrediction) -> Told:
    told = {field.name: getattr(prediction, field.name) for field in prediction.DESCRIPTOR.fields}
    return told | {"source": pb.Source.Name(prediction.source)}
