"""What a run has to be told of the world as it is now: the version of the data, and the model to beat."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from questline_components.code import code_version
from questline_core.errors import NotReady
from questline_core.models.rollout import champion
from questline_core.settings import PlatformSettings
from questline_core.spend.search import tries
from questline_core.warehouse.port import EVENTS, open_warehouse


def spend_parameters(settings: PlatformSettings, training: Mapping[str, int]) -> dict[str, Any]:
    """Complete the arguments of the spend pipeline: addresses, the data's version and the champion.

    They are parameters, and not looked up by the steps, because a step is run again when its inputs change and only
    then.

    Args:
        settings: where everything is.
        training: what a person chose: horizon_hours, holdout_days, epochs, seed, and the budget (how many settings of
            the network are tried, 1 if it is not told).

    Raises:
        NotReady: there are no events to train on.
    """
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        if EVENTS not in warehouse.tables():
            raise NotReady(
                f"there are no events to train on in {settings.warehouse_url}; send some through the gateway "
                "(`questline simulate`, `questline events import`) and let the stream write them"
            )
        data_version = warehouse.version(EVENTS)
    chosen = dict(training)
    budget = chosen.pop("budget", 1)
    made_from = {**chosen, "tried": budget, "data_version": data_version, "code_version": code_version()}
    to_beat = champion(settings.model_store_url, "spend", made_from)
    return {
        **chosen,
        "settings": tries(budget, seed=chosen["seed"]),
        "warehouse": settings.warehouse_url,
        "model_store": settings.model_store_url,
        "model_host": settings.model_host_url,
        "data_version": data_version,
        "champion": to_beat.uri if to_beat else "",
    }


def backfill_parameters(settings: PlatformSettings) -> dict[str, Any]:
    """Tell the backfill where the warehouse is; a person names days and archive, and the rest is for Dataflow."""
    chosen = ("days", "archive", "template", "project", "region", "temp", "account", "subnetwork")
    known = {"warehouse": settings.warehouse_url, "title": settings.title, "skip_broken": False}
    return {**known, **dict.fromkeys(chosen, ""), "machine_type": "n2d-highmem-4"}


def churn_parameters(settings: PlatformSettings) -> dict[str, Any]:
    """Tell the churn pipeline where everything is on this machine; it finds the rest in the warehouse."""
    return {
        "warehouse": settings.warehouse_url,
        "model_host": settings.model_host_url,
        "lookup": str(settings.paths.lookup),
        "csv": str(settings.paths.root / "exports" / "churn"),
    }
