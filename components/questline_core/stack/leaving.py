"""Find players of three kinds whom the churn pipeline has scored, and say what answers about them and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from questline_core.churn.serving import ask
from questline_core.models.port import ModelHost
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One player, and what the served lookup says."""

    kind: str
    """new: the first 24 hours are not over; loyal: the surest to stay; leaving: the surest to leave."""
    player: str
    probability: float
    predicted_churned: bool
    source: str
    """A model, `first_hours`, or `prior` while no model is in use."""
    why: Mapping[str, Any]
    """The features that moved the score most, the strongest first, with the player's values; empty for a prior."""
    generation: str


def ask_about_three(warehouse: Warehouse, host: ModelHost) -> list[Asked]:
    """Ask the lookup about a new, a loyal and a leaving player.

    Raises:
        NotReady: nothing answers.
    """
    rows: list[dict[str, Any]] = warehouse.query(sql("churn/examples.sql")).to_pylist()
    told = ask(host, [row["user_pseudo_id"] for row in rows])
    return [_asked(row, answer) for row, answer in zip(rows, told, strict=True)]


def _asked(row: Mapping[str, Any], answer: Mapping[str, Any]) -> Asked:
    reasons = [name for name in str(answer["reasons"]).split(",") if name]
    return Asked(
        kind=row["kind"],
        player=row["user_pseudo_id"],
        probability=answer["probability"],
        predicted_churned=bool(answer["predicted_churned"]),
        source=answer["source"],
        why={name: row[name] for name in reasons},
        generation=answer["generation"],
    )


def reasons_of(one: Asked) -> str:
    """Say why the score is what it is, in words."""
    if not one.why:
        return f"by the share of players like this who leave ({one.source})"
    return ", ".join(f"{name} = {value}" for name, value in one.why.items())


def models_of(run: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    """Give the three models of a run of the churn pipeline, the champion first: name, log loss, ROC AUC."""
    metrics = run["metrics"]
    for kind, one in sorted(metrics["models"].items(), key=lambda named: named[1]["log_loss"]["value"]):
        name = f"{kind}, the champion" if kind == metrics["champion"] else kind
        yield name, *(_range(one[measure]) for measure in ("log_loss", "roc_auc"))


def _range(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
