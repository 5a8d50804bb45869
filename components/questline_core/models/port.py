"""The model host port: what serves which revision, described by InferenceService manifests and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from questline_core.adapters import open_adapter

Manifest = Mapping[str, Any]
"""An InferenceService (serving.kserve.io/v1beta1) as nested mappings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """What a model host says of one InferenceService."""

    name: str
    ready: bool
    revision: str
    """`spec.predictor.name` of the revision that answers; empty while none does."""
    wanted: str
    """`spec.predictor.name` of the manifest."""
    message: str
    """Why the wanted revision will not answer as things are; empty when it answers, and while it loads."""
    rest_url: str
    """Base address of the V1 and V2 REST protocols."""
    grpc_address: str
    """host:port of the V2 gRPC protocol."""


class ModelHost(Protocol):
    """Serves what its manifests say. A revision that does not load never replaces one that answers."""

    def apply(self, manifest: Manifest) -> None:
        """Declare what is to be served under `metadata.name`.

        Raises:
            BadInput: the manifest is not a usable InferenceService.
        """

    def status(self, name: str) -> ServiceStatus:
        """Tell what answers under this name now.

        Raises:
            NotReady: nothing of this name was applied.
        """

    def services(self) -> list[str]:
        """Name all InferenceServices, sorted."""


_HOSTS = {"folder": ("questline_core.models.folder:open_folder", "kserve")}


def open_model_host(address: str, **options: Any) -> ModelHost:
    """Open the model host at an address such as `folder:/var/questline/serving`."""
    return open_adapter("model host", address, _HOSTS, **options)  # type: ignore[no-any-return]
