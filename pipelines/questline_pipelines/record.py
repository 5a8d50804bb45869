"""The record of one run: what `run.json` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from questline_pipelines.events import State, StepEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How one step went."""

    name: str
    state: State
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one run went."""

    run: str
    """Name of the run, and of its folder."""
    parameters: Mapping[str, Any]
    """What the pipeline was run with."""
    revision: str | None
    """What serves because of this run; None when it shipped nothing."""
    shipped: bool
    reasons: Sequence[str]
    """Why the gate decided as it did."""
    metrics: Mapping[str, Any]
    """The evaluation of the model on days that it was not fitted to, without its curves."""
    report: str | None
    """The evaluation as a page to look at."""
    card: str | None
    """The model card, where the pipeline writes one."""
    steps: Sequence[Step]
    error: str | None
    """Why a step failed, in one sentence; None when none did."""

    def to_json(self, indent: int | None = None) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self), indent=indent)


def record(run: str, parameters: Mapping[str, Any], steps: Mapping[str, StepEvent]) -> Run:
    """Sum up the last event of each step, in the order of the steps."""
    failed = next((step for step in steps.values() if step.state is State.FAILED), None)
    shipped = steps["verify"].state is State.DONE
    evaluated = steps["evaluate"].outputs
    return Run(
        run=run,
        parameters=parameters,
        revision=steps["deploy"].outputs["Output"] if shipped else None,
        shipped=shipped,
        reasons=steps["gate"].outputs.get("verdict", {}).get("metadata", {}).get("reasons", []),
        metrics=_numbers(json.loads(Path(evaluated["metrics"]["uri"]).read_bytes())) if evaluated else {},
        report=evaluated["report"]["uri"] if evaluated else None,
        card=evaluated["card"]["uri"] if "card" in evaluated else None,
        steps=[Step(name=s.name, state=s.state, seconds=s.seconds, cached=s.cached) for s in steps.values()],
        error=f"{failed.name} failed: {failed.error}" if failed else None,
    )


def _numbers(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what a person or a program compares, and leave out lists: the points of curves and the draws."""
    kept = {name: _numbers(value) if isinstance(value, dict) else value for name, value in evaluation.items()}
    return {name: value for name, value in kept.items() if value != {} and not isinstance(value, list)}
