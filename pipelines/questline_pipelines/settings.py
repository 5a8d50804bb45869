"""Settings of everything that starts runs."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

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
    kfp_image: str = ""
    """Image of the steps there, with its registry; empty: the name that the steps were written with."""
    kfp_nodes: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes on which steps run, as JSON, such as {"cloud.google.com/gke-spot": "true"}."""
    kfp_secret: str = ""
    """Secret with the file `key` of erasure, mounted into every step; empty: none."""
    kfp_notify: str = ""
    """Address to which the end of each run is posted as JSON; empty: none."""
