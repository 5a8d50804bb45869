"""Refuse players of whom no model of churn could be learned, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from questline_core.churn.tables import Players
from questline_core.errors import NotReady
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import Warehouse

LEAST = {"training": 100, "for_threshold": 10, "for_judging": 10}
"""Labelled players that each part of the split must have; with fewer, luck decides."""
LEAST_SHARE = 0.02
"""Of either kind, those who left and those who stayed."""


def validate(warehouse: Warehouse, players: Players) -> Mapping[str, float]:
    """Check `churn.players` and give what was found, by name.

    Raises:
        NotReady: says which of the rules is not kept, with the number.
    """
    (found,) = warehouse.query(sql("churn/labelled.sql")).to_pylist()
    for part, least in LEAST.items():
        if found[part] < least:
            raise NotReady(
                f"only {found[part]} players {part.replace('_', ' ')} have a label that is due, and {least} are "
                "needed; let more players play for longer (`questline simulate`, `questline events import`)"
            )
    share = players.churned / (players.labelled - players.bounced)
    if not LEAST_SHARE <= share <= 1 - LEAST_SHARE:
        raise NotReady(
            f"{share:.1%} of the labelled players left, and between {LEAST_SHARE:.0%} and {1 - LEAST_SHARE:.0%} must; "
            "look whether user_engagement events arrive"
        )
    return {**found, "churned": share}
