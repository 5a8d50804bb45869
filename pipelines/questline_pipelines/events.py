"""What the process that runs a pipeline tells the one that started it: a JSON line when a step starts and ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """The pipeline decided not to run it, or a step that it needs has failed."""

    @property
    def is_final(self) -> bool:
        """Tell whether the step will not change any more."""
        return self in {State.DONE, State.FAILED, State.SKIPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    """A step has come to a new state."""

    name: str
    state: State
    seconds: float = 0.0
    cached: bool = False
    """An earlier run had done the same with the same inputs, so its outputs were taken."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Parameters as they are; of an artifact its `uri` and `metadata`."""
    error: str = ""
    """Why a step failed, in one sentence."""

    def to_line(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> StepEvent:
        """Read what `to_line` wrote."""
        fields = json.loads(line)
        return cls(**fields | {"state": State(fields["state"])})
