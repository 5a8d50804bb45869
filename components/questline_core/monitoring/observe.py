"""All that monitoring finds, in one go."""

from __future__ import annotations

from dataclasses import dataclass

from questline_core.monitoring.answers import answers
from questline_core.monitoring.churn import ChurnOutcomes, churn_outcomes
from questline_core.monitoring.outcomes import Outcomes, outcomes
from questline_core.monitoring.skew import Skew, skew
from questline_core.monitoring.watch import Watch, watch
from questline_core.warehouse.port import Warehouse

_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Drift, skew and outcomes of the spend model, and the outcomes of churn."""

    watch: Watch
    skew: Skew
    outcomes: Outcomes
    churn: ChurnOutcomes


def observe(warehouse: Warehouse, model_store: str, *, windows: int, days: int) -> Findings:
    """Look at the last `windows` times `days` days.

    Raises:
        NotReady: as for `watch`.
    """
    found = watch(warehouse, model_store, windows=windows, days=days)
    now, since = found.now_micros, found.now_micros - windows * days * _DAY
    spend, churn = (answers(warehouse, model=model, since_micros=since) for model in ("spend", "churn"))
    return Findings(
        watch=found,
        skew=skew(warehouse),
        outcomes=outcomes(warehouse, spend, now_micros=now, model_store=model_store),
        churn=churn_outcomes(warehouse, churn, now_micros=now),
    )
