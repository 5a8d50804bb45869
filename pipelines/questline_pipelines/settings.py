"""Settings of everything that starts runs."""

from __future__ import annotations

from questline_core.settings import PlatformSettings


class PipelineSettings(PlatformSettings):
    """Where runs go. Without an address they run on this machine."""

    kfp_endpoint: str = ""
    """Address of Kubeflow Pipelines, such as https://HOST/pipeline."""
    kfp_namespace: str = ""
    """The namespace of the runs, for a Kubeflow of many users."""
