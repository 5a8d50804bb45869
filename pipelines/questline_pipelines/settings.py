"""Settings of everything that starts runs."""

from __future__ import annotations

from pathlib import Path

from questline_core.settings import PlatformSettings


class PipelineSettings(PlatformSettings):
    """Where runs go: without an address they run on this machine."""

    kfp_endpoint: str = ""
    """Address of Kubeflow Pipelines, such as http://ml-pipeline.kubeflow:8888."""
    kfp_namespace: str = ""
    """Namespace of the runs, for a Kubeflow of many users."""
    kfp_token: Path = Path("/var/run/secrets/kubeflow/pipelines/token")
    """File of the token that Kubeflow gives to pods; used if it is there."""
    kfp_account: str = ""
    """Kubernetes service account of the steps; empty: the one that Kubeflow was set up with."""
