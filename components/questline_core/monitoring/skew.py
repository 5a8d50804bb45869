"""Training-serving skew: what the model was asked with at an event, against an example of the same event."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from questline_core.features.moments import moments_at
from questline_core.features.online import NUMBERS, TEXTS, Inputs, inputs_at
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, PREDICTIONS, Warehouse

_SAME = 1e-6  # of the larger of two numbers; they are computed by the same function, so this is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSkew:
    """How one input differs."""

    name: str
    differs: float
    """Share of the compared answers in which it does."""
    largest: float
    """Largest difference of two numbers; infinite when one is not known, or for texts that differ; else 0."""
    served: float | str
    """What was served where the difference is largest."""
    expected: float | str
    """What the example of the same event holds."""
    event_id: str
    """That event; empty when nothing differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """The inputs of the newest answers against the examples of the same events."""

    compared: int
    """Answers whose event makes an example."""
    unmatched: int
    """Answers whose event does not: it is not stored yet, is a test, or its player says to be a bot."""
    inputs: Sequence[InputSkew]
    """Those that differ most often first; empty when nothing was compared."""

    @property
    def differing(self) -> list[InputSkew]:
        """The inputs that differ at all."""
        return [one for one in self.inputs if one.differs]


def skew(warehouse: Warehouse, *, most: int = 2_000) -> Skew:
    """Compare the newest `most` answers of which the inputs are kept; the examples are computed from all events."""
    if not {EVENTS, PREDICTIONS} <= set(warehouse.tables()):
        return Skew(compared=0, unmatched=0, inputs=())
    rows = warehouse.query(sql("monitoring/asked.sql"), most=most).to_pylist()
    served = {row["event_id"]: _inputs(row["features"]) for row in rows}
    moments = moments_at(warehouse, {row["event_id"]: row["user_pseudo_id"] for row in rows})
    pairs = [(event_id, served[event_id], inputs_at(state, at)) for _, event_id, state, at in moments]
    found = [_compare(name, pairs) for name in (*NUMBERS, *TEXTS)] if pairs else []
    ranked = sorted(found, key=lambda one: (-one.differs, -one.largest))
    return Skew(compared=len(pairs), unmatched=len(served) - len(pairs), inputs=ranked)


def _inputs(features: Sequence[Mapping[str, Any]]) -> Inputs:
    return {one["name"]: _value(one) for one in features}


def _value(feature: Mapping[str, Any]) -> float | str:
    if feature["name"] in TEXTS:
        return feature["text"] or ""
    return math.nan if feature["number"] is None else float(feature["number"])


def _compare(name: str, pairs: Sequence[tuple[str, Inputs, Inputs]]) -> InputSkew:
    apart = list(_apart(name, pairs))
    if not apart:
        return InputSkew(name=name, differs=0.0, largest=0.0, served="", expected="", event_id="")
    largest, event_id, served, expected = max(apart, key=lambda one: one[0])
    return InputSkew(
        name=name,
        differs=len(apart) / len(pairs),
        largest=largest,
        served=served,
        expected=expected,
        event_id=event_id,
    )


def _apart(
    name: str, pairs: Sequence[tuple[str, Inputs, Inputs]]
) -> Iterator[tuple[float, str, float | str, float | str]]:
    for event_id, served, expected in pairs:
        ours, theirs = served.get(name, math.nan), expected[name]
        if distance := _distance(ours, theirs):
            yield distance, event_id, ours, theirs


def _distance(ours: float | str, theirs: float | str) -> float:
    """Give 0 for what is the same, and infinity for what cannot be subtracted."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return 0.0 if ours == theirs else math.inf
    if math.isnan(ours) or math.isnan(theirs):
        return 0.0 if math.isnan(ours) and math.isnan(theirs) else math.inf
    return 0.0 if math.isclose(ours, theirs, rel_tol=_SAME, abs_tol=_SAME) else abs(ours - theirs)
