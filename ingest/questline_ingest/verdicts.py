"""What the gateway says of one event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import repeat
from typing import NamedTuple

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
    inputs: Mapping[str, float | str] | None = None
    """What the model was asked with; None when no inputs could be made in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """How likely a player is to leave."""

    probability: float
    model: str
    """What scored the player; empty for a prior."""
    generation: str
    """Of the snapshot that answered; empty when none did."""
    is_prior: bool
    """The player is not known: the probability is an average player's."""

    @property
    def revision(self) -> str:
        """What metrics count this answer under."""
        return self.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnPrediction:
    """A probability of leaving, how it was obtained, and why not afresh."""

    churn: Churn
    source: Source
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an event could not be made durable now, and when to send it again."""

    reason: str
    message: str
    retry_after_s: float = 1.0


# A tuple, because one is made for every event.
class Verdict(NamedTuple):
    """The answer for one event."""

    event_id: str
    outcome: Outcome
    problem: Problem | None = None
    """Set when rejected."""
    refusal: Refusal | None = None
    """Set when refused."""


def accepted(event_ids: Sequence[str]) -> list[Verdict]:
    """Say of all these events that they were accepted, without a step of Python for each."""
    return list(map(_verdict, zip(event_ids, repeat(Outcome.ACCEPTED), repeat(None), repeat(None))))


_verdict = partial(tuple.__new__, Verdict)
