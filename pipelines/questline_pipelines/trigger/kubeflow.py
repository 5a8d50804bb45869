"""Runs that the trigger starts on Kubeflow Pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from questline_pipelines.cluster import client
from questline_pipelines.trigger.starter import DONE, RUNNING, Learned


class OnKubeflow:
    """See `Starter`. That a run goes on is asked of Kubeflow, so that one by hand or by schedule counts too."""

    def __init__(self, kubeflow: client.Kubeflow) -> None:
        """Take the connection."""
        self._kubeflow = kubeflow

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> str:
        """See `Starter`."""
        return self._kubeflow.submit(pipeline, parameters, name=f"{pipeline}-{datetime.now(UTC):%Y%m%d-%H%M%S}")

    def running(self, pipeline: str) -> str:
        """See `Starter`."""
        return self._kubeflow.running(pipeline)

    def outcome(self, run: str) -> str:
        """See `Starter`."""
        state = self._kubeflow.state(run)
        if not state.is_final:
            return RUNNING
        return DONE if state.state == client.DONE else state.error or state.state.lower()

    def learned(self, pipeline: str) -> Learned | None:
        """See `Starter`. Kubeflow is not asked for the artifacts of its runs."""
        del pipeline
        return None
