"""The model host port: what serves which revision, described by InferenceService manifests and by nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from questline_core.adapters import open_adapter

Manifest = Mapping[str, Any]
"""An InferenceService (serving.kserve.io/v1beta1) as nested mappings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """What a model host says of one revision of an InferenceService."""

    revision: str
    stable: bool
    percent: int
    """Its share of the requests: 0 to 100."""
    ready: bool
    """Whether it answers now."""
    message: str = ""
    """Why it will not answer as things are; empty when it answers, and while it loads."""
    waits_for: str = ""
    """What it waits for while it is neither ready nor refused."""
    rest_url: str = ""
    """Base address of this revision's V1 and V2 REST protocols."""
    grpc_address: str = ""
    """host:port of this revision's V2 gRPC protocol."""


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
    revisions: tuple[RevisionStatus, ...] = ()
    """All revisions that are declared, the stable one first. A request names the one that it wants as model_version."""

    def of(self, revision: str) -> RevisionStatus | None:
        """Find a revision by its name; None if it is not declared."""
        return next((one for one in self.revisions if one.revision == revision), None)


class ModelHost(Protocol):
    """Serves what its manifests say. A revision that does not load never replaces one that answers."""

    def apply(self, manifest: Manifest) -> None:
        """Declare what is to be served under `metadata.name`.

        Raises:
            BadInput: the manifest is not a usable InferenceService.
        """

    def manifest(self, name: str) -> Manifest | None:
        """Give what is declared under this name; None when nothing is."""

    def status(self, name: str) -> ServiceStatus:
        """Tell what answers under this name now.

        Raises:
            NotReady: nothing of this name was applied.
        """

    def follow(self, name: str) -> Iterator[ServiceStatus]:
        """Give what `status` tells, now and again whenever it may have changed; waits in between, and never ends.

        Raises:
            NotReady: as `status`; whoever follows asks anew.
        """

    def services(self) -> list[str]:
        """Name all InferenceServices, sorted."""


_HOSTS = {
    "folder": ("questline_core.models.folder:open_folder", "kserve"),
    "kserve": ("questline_core.models.cluster:open_cluster", "kserve"),
}


def open_model_host(address: str) -> ModelHost:
    """Open the model host at `folder:FOLDER` or `kserve:NAMESPACE`.

    In a cluster, pods read models from a URL, or from a volume that the pipeline has mounted too:
    `kserve:NAMESPACE?claim=questline-home&root=/var/questline` serves `/var/questline/models/spend/V` from
    `pvc://questline-home/models/spend/V`. `context=CONTEXT` names a cluster of the kubeconfig; a pod needs none.
    """
    return open_adapter("model host", address, _HOSTS)  # type: ignore[no-any-return]
