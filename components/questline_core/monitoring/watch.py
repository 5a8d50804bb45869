"""Compare what players look like now, window by window, with what the newest spend model learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from questline_core.errors import NotReady
from questline_core.features.moments import sampled_moments
from questline_core.features.online import NUMBERS, TEXTS, Inputs, inputs_at
from questline_core.models.store import latest
from questline_core.monitoring.profile import Distances, Profile, Values
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse

MOVED_PSI = 0.25
LEAST_ROWS = 500
"""With fewer moments in a window the shares say nothing: by chance alone the index of 22 bins is about 0.04 at 500."""
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The inputs of some days."""

    since_micros: int
    until_micros: int
    rows: int
    inputs: dict[str, Distances]
    """Of each input from the training; empty when the window has too few rows."""

    @property
    def moved(self) -> list[str]:
        """The inputs that moved, those that moved most first."""
        ranked = sorted(self.inputs, key=lambda name: -self.inputs[name].psi)
        return [name for name in ranked if self.inputs[name].psi >= MOVED_PSI]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The windows of a model's inputs, oldest first."""

    model: str
    """The model's version."""
    windows: Sequence[Window]


def watch(warehouse: Warehouse, model_store: str, *, windows: int, days: int) -> Watch:
    """Measure the inputs of the last `windows` times `days` days against the training of the newest spend model.

    Raises:
        NotReady: there is no such model, it has no profile, or there are no events.
    """
    version, profile = _trained(model_store)
    now = _latest_event(warehouse)
    rows = [
        (moment.at_micros, inputs_at(state, moment))
        for _, _, state, moment in sampled_moments(warehouse, until_micros=now)
        if moment.at_micros > now - windows * days * _DAY
    ]
    return Watch(model=version, windows=list(_windows(profile, rows, now, windows=windows, days=days)))


def drift_exceeds(warehouse: Warehouse, model_store: str, *, psi: float, days: int = 7) -> str:
    """Say which input moved furthest in the last days, if its stability index is `psi` or more; "" if none is.

    Raises:
        NotReady: as for `watch`.
    """
    (window,) = watch(warehouse, model_store, windows=1, days=days).windows
    name = max(window.inputs, key=lambda one: window.inputs[one].psi, default="")
    if not name or window.inputs[name].psi < psi:
        return ""
    return f"{name} moved in the last {days} days: stability index {window.inputs[name].psi:.2f}"


def _trained(model_store: str) -> tuple[str, Profile]:
    version = latest(model_store, "spend")
    profile = Profile.read(Path(version.uri)) if version else None
    if version is None or profile is None:
        what = f"{version.version} was trained without a profile" if version else f"no spend model is in {model_store}"
        raise NotReady(f"there is nothing to compare with: {what}; run `questline pipelines run spend`")
    return version.version, profile


def _latest_event(warehouse: Warehouse) -> int:
    found = EVENTS in warehouse.tables() and warehouse.query(sql("spend/latest_event.sql"))["latest_micros"][0].as_py()
    if not found:
        raise NotReady(f"there are no events in {EVENTS}; let the stream write some")
    return int(found)


def _windows(
    profile: Profile, rows: Sequence[tuple[int, Inputs]], now: int, *, windows: int, days: int
) -> Iterator[Window]:
    for number in range(windows, 0, -1):
        since, until = now - number * days * _DAY, now - (number - 1) * days * _DAY
        inside = [inputs for at, inputs in rows if since < at <= until]
        far = _distances(profile, inside) if len(inside) >= LEAST_ROWS else {}
        yield Window(since_micros=since, until_micros=until, rows=len(inside), inputs=far)


def _distances(profile: Profile, rows: Sequence[Inputs]) -> dict[str, Distances]:
    known = [name for name in (*NUMBERS, *TEXTS) if name in profile.columns]
    return {name: profile.columns[name].distances(_column(rows, name)) for name in known}


def _column(rows: Sequence[Inputs], name: str) -> Values:
    return np.array([row[name] for row in rows], object if name in TEXTS else np.float64)
