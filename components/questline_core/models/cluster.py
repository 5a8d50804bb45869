"""The cluster's model host: KServe's InferenceServices of one namespace, in Standard mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from questline_core.errors import BadInput, NotReady
from questline_core.models import cluster_api as api
from questline_core.models.canary import Declared, declared, with_uris
from questline_core.models.claim import NO_CLAIM, Claim
from questline_core.models.cluster_why import rolled_out, trouble, waits_for
from questline_core.models.manifests import API_VERSION, KIND, check_label
from questline_core.models.port import Manifest, RevisionStatus, ServiceStatus

OWNER = "serving.kserve.io/inferenceservice"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LOOK_AGAIN_S = 5
"""Who follows looks again after this time even if nothing was heard."""
_GRPC_PORTS = ("h2c", "grpc-v2")


@dataclass(frozen=True, slots=True)
class ClusterHost:
    """A `ModelHost` over a namespace. Its addresses are those of Services, which only pods reach."""

    cluster: api.ClusterApi
    claim: Claim = NO_CLAIM
    """The volume that pods read models from. Callers name folders as they see them, pods as they do."""
    account: str = ""
    """The service account of pods whose manifest names none; it may have to read a bucket."""

    def apply(self, manifest: Manifest) -> None:
        """Declare the InferenceService by server-side apply, and clear away what KServe leaves of dropped revisions.

        Raises:
            BadInput: the manifest cannot be used, or the cluster refuses it.
            NotReady: the API server does not answer.
        """
        revisions = declared(manifest)
        name = revisions[0].service.name
        self.cluster.apply(api.SERVICES, _run_by(self.account, with_uris(manifest, self.claim.there)))
        wanted = {_object(name, one.service.revision) for one in revisions}
        for kind in (api.AUTOSCALERS, api.ROUTES):
            for left in self.cluster.find(kind):
                if _belongs(left, name) and left["metadata"]["name"] not in wanted | {name}:
                    self.cluster.delete(kind, left["metadata"]["name"])

    def manifest(self, name: str) -> Manifest | None:
        """Give what is declared under this name, without what the cluster adds; None when nothing is."""
        found = self.cluster.get(api.SERVICES, check_label("the service's name", name))
        return with_uris(_as_declared(found), self.claim.here) if found else None

    def status(self, name: str) -> ServiceStatus:
        """Tell what answers, from the InferenceService and from each revision's Deployment and pods.

        KServe's own Ready takes no notice of canaries and stays True while a new pod cannot start, so the Deployments
        have the word.

        Raises:
            NotReady: nothing of this name was applied, or the API server does not answer.
        """
        found = self.cluster.get(api.SERVICES, check_label("the service's name", name))
        if found is None:
            raise NotReady(f"no InferenceService {name!r} is in namespace {self.cluster.namespace}; apply one first")
        seen, wanted = _Seen.of(self.cluster, name), declared(_as_declared(found))
        revisions = tuple(seen.status(one) for one in wanted)
        stable, settled = revisions[0], _settled(found.get("status", {}), wanted)
        return ServiceStatus(
            name=name,
            ready=stable.ready and settled and seen.rolled_out(stable.revision),
            revision=stable.revision if stable.ready else "",
            wanted=stable.revision,
            message=stable.message,
            rest_url=stable.rest_url,
            grpc_address=stable.grpc_address,
            revisions=revisions,
        )

    def follow(self, name: str) -> Iterator[ServiceStatus]:
        """Watch the InferenceService, whose status KServe also writes when pods come and go.

        Raises:
            NotReady: nothing of this name was applied, or the API server does not answer.
        """
        while True:
            for _ in self.cluster.changes(api.SERVICES, check_label("the service's name", name), for_s=_LOOK_AGAIN_S):
                yield self.status(name)
            yield self.status(name)

    def services(self) -> list[str]:
        """Name all InferenceServices of the namespace, sorted."""
        return sorted(one["metadata"]["name"] for one in self.cluster.find(api.SERVICES))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The objects of one InferenceService at one time."""

    name: str
    namespace: str
    deployments: Mapping[str, Any]
    addresses: Mapping[str, Any]
    pods: list[Any]

    @staticmethod
    def of(cluster: api.ClusterApi, name: str) -> _Seen:
        label = f"{OWNER}={name}"

        def by_name(kind: api.Kind) -> dict[str, Any]:
            return {one["metadata"]["name"]: one for one in cluster.find(kind, label=label)}

        return _Seen(
            name=name,
            namespace=cluster.namespace,
            deployments=by_name(api.DEPLOYMENTS),
            addresses=by_name(api.ADDRESSES),
            # One that is told to end may end with an error, which says nothing of those that stay.
            pods=[one for one in cluster.find(api.PODS, label=label) if "deletionTimestamp" not in one["metadata"]],
        )

    def rolled_out(self, revision: str) -> bool:
        return rolled_out(self.deployments.get(_object(self.name, revision)))

    def status(self, one: Declared) -> RevisionStatus:
        revision = one.service.revision
        called = _object(self.name, revision)
        deployment = self.deployments.get(called, {})
        ready = bool(deployment.get("status", {}).get("availableReplicas"))
        pods = [pod for pod in self.pods if pod["metadata"]["labels"].get("app") == f"isvc.{called}"]
        message = "" if rolled_out(deployment) else trouble(pods)
        return RevisionStatus(
            revision=revision,
            stable=one.stable,
            percent=one.percent,
            ready=ready,
            message=message,
            waits_for="" if ready or message else waits_for(called, deployment, pods),
            rest_url=f"http://{called}.{self.namespace}",
            grpc_address=f"{called}.{self.namespace}:{_grpc_port(self.addresses.get(called, {}))}",
        )


def open_cluster(address: str) -> ClusterHost:
    """Open the host at `NAMESPACE` or `NAMESPACE?context=CONTEXT&claim=CLAIM&root=FOLDER&account=ACCOUNT`.

    Without a context the cluster is the one of KUBECONFIG, or the one that this process is a pod of. With a claim, the
    folders below root, where this process has the claim mounted, are served from `pvc://CLAIM/…`. With an account, pods
    whose manifest names none run as this service account of the namespace.

    Raises:
        BadInput: the namespace is no name of one, or the rest is not understood.
        NotReady: there is no cluster to talk to.
    """
    namespace, _, told = address.partition("?")
    options = dict(parse_qsl(told))
    known = options.keys() <= {"context", "claim", "root", "account"} and ("claim" in options) == ("root" in options)
    if not known or bool(told) != bool(options):
        raise BadInput(
            f"kserve:{address} is not understood; write kserve:NAMESPACE, and after it as needed ?context=CONTEXT, "
            "?claim=CLAIM&root=FOLDER or ?account=ACCOUNT, joined by &"
        )
    claim = Claim(options.get("claim", ""), options.get("root", ""))
    cluster = api.connect(check_label("the namespace", namespace), options.get("context"))
    return ClusterHost(cluster, claim, options.get("account", ""))


def _run_by(account: str, manifest: Manifest) -> dict[str, Any]:
    """Let the pods of a manifest that names no service account have this one; canaries inherit the stable one's."""
    named = {"serviceAccountName": account} if account else {}
    return {**manifest, "spec": {**manifest["spec"], "predictor": named | manifest["spec"]["predictor"]}}


def _settled(status: Mapping[str, Any], wanted: Sequence[Declared]) -> bool:
    """Tell whether KServe has done what is declared; its observedGeneration may stay behind for ever."""
    stable, *canaries = wanted
    told = {one["name"]: one.get("trafficPercent", 0) for one in status.get("canaryStatuses", [])}
    address = status.get("address", {}).get("url", "")
    here = f"//{_object(stable.service.name, stable.service.revision)}." in address
    return here and told == {one.service.revision: one.percent for one in canaries}


def _object(name: str, revision: str) -> str:
    """Name what KServe makes for one revision."""
    return f"{name}-{revision}-predictor"


def _belongs(left: Mapping[str, Any], name: str) -> bool:
    metadata = left["metadata"]
    owners = [one["name"] for one in metadata.get("ownerReferences", []) if one["kind"] == KIND]
    return metadata.get("labels", {}).get(OWNER) == name or name in owners


def _as_declared(found: Mapping[str, Any]) -> Manifest:
    metadata = found["metadata"]
    notes = {key: value for key, value in metadata.get("annotations", {}).items() if key != _LAST_APPLIED}
    kept: dict[str, Any] = {"name": metadata["name"], "annotations": notes}
    if "labels" in metadata:
        kept["labels"] = metadata["labels"]
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": kept, "spec": found["spec"]}


def _grpc_port(address: Mapping[str, Any]) -> int:
    ports = address.get("spec", {}).get("ports", [])
    return next((int(port["port"]) for port in ports if port.get("name") in _GRPC_PORTS), 8081)
