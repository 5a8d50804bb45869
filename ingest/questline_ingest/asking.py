"""Ask a running gateway about players, as a game client would, for a person who wants to see the answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client import Client, OnAnswers, SendReport
from questline_ingest.pb import ingest_pb2 as pb

Told = dict[str, Any]
"""One answer, with values that JSON can hold."""


def ask_for_spend(
    address: str, players: Sequence[str], *, event_name: str, is_test: bool
) -> tuple[list[Told], SendReport]:
    """Send one event for each player in a call of its own, and tell each answer with its latency in milliseconds.

    Raises:
        NotReady: no gateway answers at the address.
    """
    told: list[Told] = []
    report = SendReport()
    with Client(address, connect_timeout_s=3.0, give_up_after_s=10.0) as client:
        for player in players:
            answers: list[pb.Answer] = []
            event = _event(player, event_name, is_test=is_test)
            began = time.perf_counter()
            report += client.send_all([event], predict=[pb.SPEND], on_answers=_keep(answers))
            told.append(_told(player, answers[-1], latency_ms=(time.perf_counter() - began) * 1000))
    return told, report


def as_line(told: Told) -> str:
    """Say one answer in a line for a person."""
    head = f"{told['player']}  {told['outcome']}"
    if told["problem"]:
        return f"{head}: {told['problem']}"
    source = f"{told['source']}: {told['reason']}" if told["reason"] else f"revision {told['revision']}"
    return (
        f"{head}  spends {told['value']:.2f} in 24 h ({told['lower_bound']:.2f} to {told['upper_bound']:.2f}), "
        f"any: {told['probability']:.1%}  [{source}]  {told['latency_ms']:.1f} ms"
    )


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
    spend = answer.spend
    return {
        "player": player,
        "event_id": answer.event_id,
        "outcome": pb.Outcome.Name(answer.outcome),
        "problem": answer.problem.message,
        "value": spend.value,
        "lower_bound": spend.lower_bound,
        "upper_bound": spend.upper_bound,
        "probability": spend.probability,
        "revision": spend.revision,
        "source": pb.Source.Name(spend.source),
        "reason": spend.reason,
        "latency_ms": round(latency_ms, 2),
    }
