"""What the gateway says of one event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from questline_core.events.checks import Problem
from questline_ingest.pb import ingest_pb2 as pb


class Outcome(IntEnum):
    """What became of an event; exactly one of these, always."""

    ACCEPTED = pb.ACCEPTED
    DUPLICATE = pb.DUPLICATE
    REJECTED = pb.REJECTED
    REFUSED = pb.REFUSED


class Source(IntEnum):
    """How a prediction was obtained."""

    FRESH = pb.FRESH
    STALE = pb.STALE
    DEFAULT = pb.DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a model revision expects a player to spend in the next 24 hours, in the title's virtual currency."""

    value: float
    lower_bound: float
    upper_bound: float
    probability: float
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A spend, how it was obtained, and why not afresh."""

    spend: Spend
    source: Source
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an event could not be made durable now, and when to send it again."""

    reason: str
    message: str
    retry_after_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for one event."""

    event_id: str
    outcome: Outcome
    problem: Problem | None = None
    """Set when rejected."""
    refusal: Refusal | None = None
    """Set when refused."""
