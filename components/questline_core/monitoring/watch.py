"""Compare players and answers of now, window by window, with what the newest spend model learned from and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from questline_core.errors import NotReady
from questline_core.features.moments import sampled_moments
from questline_core.features.online import NUMBERS, TEXTS, Inputs, inputs_at
from questline_core.models.store import latest
from questline_core.monitoring.answers import Answers, answers
from questline_core.monitoring.profile import Distances, Profile, Values
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, Warehouse

MOVED_PSI = 0.25
LEAST_ROWS = 500
"""With fewer moments in a window the shares say nothing: by chance alone the index of 22 bins is about 0.04 at 500."""
GROWING = frozenset(
    {
        *("days_since_install", "events", "sessions", "active_days", "engagement_minutes", "ad_rewards"),
        *("level_max", "levels_completed", "levels_failed", "levels_retried", "out_of_steps", "extra_steps_used"),
        *("spends", "spend_sum"),
    }
)
"""Inputs that add up all that a player ever did: they move as a game gets older, which is no news."""
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The inputs of some days."""

    since_micros: int
    until_micros: int
    rows: int
    inputs: dict[str, Distances]
    """Of each input from the training; empty when the window has too few rows."""
    answers: int = 0
    """What this model answered, one answer a player and day."""
    scores: Mapping[str, Distances] = field(default_factory=dict)
    """Of each score from what the model answered to its training; empty when there are too few answers."""

    @property
    def moved(self) -> list[str]:
        """The inputs that moved, those that moved most first."""
        ranked = sorted(self.inputs, key=lambda name: -self.inputs[name].psi)
        return [name for name in ranked if self.inputs[name].psi >= MOVED_PSI]

    @property
    def news(self) -> dict[str, float]:
        """Stability indexes by what moved: of inputs that do not grow as a game gets older, and of scores."""
        inputs = {name: far.psi for name, far in self.inputs.items() if name not in GROWING}
        return inputs | {f"score {name}": far.psi for name, far in self.scores.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The windows of a model's inputs and answers, oldest first."""

    model: str
    """The model's version."""
    now_micros: int
    """The latest event."""
    windows: Sequence[Window]


def watch(warehouse: Warehouse, model_store: str, *, windows: int, days: int) -> Watch:
    """Measure inputs and scores of the last `windows` times `days` days against the training of the newest spend model.

    Raises:
        NotReady: there is no such model, it has no profile, or there are no events.
    """
    version, profile = _trained(model_store)
    now = latest_event(warehouse)
    since = now - windows * days * _DAY
    rows = [
        (moment.at_micros, inputs_at(state, moment))
        for _, _, state, moment in sampled_moments(warehouse, until_micros=now)
        if moment.at_micros > since
    ]
    given = answers(warehouse, since_micros=since)
    own = given.take(given.drawn & (given.revisions == version) & (given.sources == "FRESH")) if given else None
    spans = [(now - number * days * _DAY, now - (number - 1) * days * _DAY) for number in range(windows, 0, -1)]
    found = [_window(profile, rows, own, since=first, until=last) for first, last in spans]
    return Watch(model=version, now_micros=now, windows=found)


def drift_exceeds(warehouse: Warehouse, model_store: str, *, psi: float, days: int = 7) -> str:
    """Say which input or score moved furthest in the last days, if its stability index is `psi` or more; "" if none is.

    Inputs that grow as a game gets older (`GROWING`) are left out.

    Raises:
        NotReady: as for `watch`.
    """
    (window,) = watch(warehouse, model_store, windows=1, days=days).windows
    name = max(window.news, key=lambda one: window.news[one], default="")
    if not name or window.news[name] < psi:
        return ""
    return f"{name} moved in the last {days} days: stability index {window.news[name]:.2f}"


def day_of(micros: int) -> str:
    """Name the day of a time, in UTC."""
    return f"{datetime.fromtimestamp(micros / 1e6, UTC):%Y-%m-%d}"


def _trained(model_store: str) -> tuple[str, Profile]:
    version = latest(model_store, "spend")
    profile = Profile.read(version.folder) if version else None
    if version is None or profile is None:
        what = f"{version.version} was trained without a profile" if version else f"no spend model is in {model_store}"
        raise NotReady(f"there is nothing to compare with: {what}; run `questline pipelines run spend`")
    return version.version, profile


def latest_event(warehouse: Warehouse) -> int:
    """Tell the time of the latest event, microseconds since 1970-01-01 UTC.

    Raises:
        NotReady: there is none.
    """
    found = EVENTS in warehouse.tables() and warehouse.query(sql("spend/latest_event.sql"))["latest_micros"][0].as_py()
    if not found:
        raise NotReady(f"there are no events in {EVENTS}; let the stream write some")
    return int(found)


def _window(
    profile: Profile, rows: Sequence[tuple[int, Inputs]], given: Answers | None, *, since: int, until: int
) -> Window:
    inside = [inputs for at, inputs in rows if since < at <= until]
    own = given.take((since < given.at_micros) & (given.at_micros <= until)) if given else None
    return Window(
        since_micros=since,
        until_micros=until,
        rows=len(inside),
        inputs=_distances(profile, inside) if len(inside) >= LEAST_ROWS else {},
        answers=len(own) if own else 0,
        scores=_scores(profile, own) if own and len(own) >= LEAST_ROWS else {},
    )


def _scores(profile: Profile, given: Answers) -> dict[str, Distances]:
    return {
        name: scores.distances(getattr(given.given, name), given.event_names) for name, scores in profile.scores.items()
    }


def _distances(profile: Profile, rows: Sequence[Inputs]) -> dict[str, Distances]:
    known = [name for name in (*NUMBERS, *TEXTS) if name in profile.columns]
    return {name: profile.columns[name].distances(_column(rows, name)) for name in known}


def _column(rows: Sequence[Inputs], name: str) -> Values:
    return np.array([row[name] for row in rows], object if name in TEXTS else np.float64)
