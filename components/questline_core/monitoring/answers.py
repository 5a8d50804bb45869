"""Read what a model answered to games, as the gateway noted it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from questline_core.spend.arrays import Predictions, Texts
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import EVENTS, PREDICTIONS, Warehouse

_TEXTS = ("event_id", "event_name", "user_pseudo_id", "revision", "source")
_OUTPUTS = ("value", "lower_bound", "upper_bound", "probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers by column, in order of time; every array has one value an answer."""

    event_ids: Texts
    event_names: Texts
    players: Texts
    at_micros: NDArray[np.int64]
    """Of the event, microseconds since 1970-01-01 UTC."""
    revisions: Texts
    """The model version, or the generation of the lookup; "" for a prior."""
    sources: Texts
    """FRESH, STALE or DEFAULT."""
    drawn: NDArray[np.bool_]
    """One answer a player and day, drawn as the examples are."""
    given: Predictions
    """Of churn there is a probability, which is the value too, and there are no bounds (NaN)."""

    def __len__(self) -> int:
        """Count the answers."""
        return len(self.event_ids)

    def take(self, rows: Any) -> Answers:
        """Take the answers that a slice, a mask or an array of positions chooses."""
        return Answers(
            event_ids=self.event_ids[rows],
            event_names=self.event_names[rows],
            players=self.players[rows],
            at_micros=self.at_micros[rows],
            revisions=self.revisions[rows],
            sources=self.sources[rows],
            drawn=self.drawn[rows],
            given=self.given.take(rows),
        )


def answers(warehouse: Warehouse, *, since_micros: int, model: str = "spend") -> Answers | None:
    """Give the answers of a model at events after a time; None when none is kept."""
    if not {EVENTS, PREDICTIONS} <= set(warehouse.tables()):
        return None
    table = warehouse.query(sql("monitoring/answers.sql"), model=model, since=since_micros)
    if not table.num_rows:
        return None
    texts = {name: np.array(table[name].to_pylist(), object) for name in _TEXTS}
    return Answers(
        event_ids=texts["event_id"],
        event_names=texts["event_name"],
        players=texts["user_pseudo_id"],
        at_micros=table["at_micros"].to_numpy().astype(np.int64),
        revisions=texts["revision"],
        sources=texts["source"],
        drawn=table["draw"].to_numpy() == 1,
        given=Predictions(**{name: table[name].to_numpy().astype(np.float64) for name in _OUTPUTS}),
    )
