"""Traps of a cluster: what KServe and Kubeflow need there and do not say clearly when they miss it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import kubernetes
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from questline_core.doctor.findings import Finding, bad, good, skipped
from questline_core.errors import NotReady

INFERENCE_SERVICES = "inferenceservices.serving.kserve.io"
CRDS = {
    INFERENCE_SERVICES: "install KServe 0.20 or newer with its CRDs",
    "servingruntimes.serving.kserve.io": "install KServe 0.20 or newer with its CRDs",
    "httproutes.gateway.networking.k8s.io": "install the Gateway API's CRDs, which carry a canary's shares",
}


def connect(context: str | None) -> Any:
    """Connect as kubectl does, or as a pod does where there is no configuration of kubectl.

    Raises:
        NotReady: there is neither.
    """
    try:
        return kubernetes.config.new_client_from_config(context=context)
    except kubernetes.config.ConfigException as error:
        try:
            kubernetes.config.load_incluster_config()
        except kubernetes.config.ConfigException:
            raise NotReady(f"there is no cluster to look at ({error}); set KUBECONFIG, or give --context") from None
        return kubernetes.client.ApiClient()


def examine_cluster(client: Any, *, account: str) -> Iterator[Finding]:
    """Look at a cluster.

    Args:
        client: of the cluster's API.
        account: NAMESPACE/NAME of the service account as which the steps of pipelines run.

    Raises:
        NotReady: the API does not answer.
    """
    try:
        crds = _names(kubernetes.client.ApiextensionsV1Api(client).list_custom_resource_definition().items)
        for name, fix in CRDS.items():
            there = name in crds
            yield good("CRD", f"{name} is there") if there else bad("CRD", f"{name} is missing", fix)
        yield _deployment_mode(client)
        yield _gateway_class(client, there="gatewayclasses.gateway.networking.k8s.io" in crds)
        yield _may_roll_out(client, account)
        yield from _autopilot(client)
    except HTTPError as error:
        raise NotReady(f"the cluster does not answer ({error})") from None


def _names(items: Sequence[Any]) -> set[str]:
    return {one.metadata.name for one in items}


def _deployment_mode(client: Any) -> Finding:
    check = "deployment mode"
    try:
        told = kubernetes.client.CoreV1Api(client).read_namespaced_config_map("inferenceservice-config", "kserve")
    except ApiException as error:
        return skipped(check, f"kserve/inferenceservice-config: {error.reason}", "install KServe, or ask to read it")
    mode = json.loads((told.data or {}).get("deploy", "{}")).get("defaultDeploymentMode", "Knative")
    if mode in {"Standard", "RawDeployment"}:
        return good(check, f"KServe's default is {mode}")
    fix = "set deploy.defaultDeploymentMode to Standard in kserve/inferenceservice-config: spec.canary works there only"
    return bad(check, f"KServe's default is {mode}", fix)


def _gateway_class(client: Any, *, there: bool) -> Finding:
    check = "gateway class"
    if not there:
        return bad(check, "the Gateway API is not installed", CRDS["httproutes.gateway.networking.k8s.io"])
    found = kubernetes.client.CustomObjectsApi(client).list_cluster_custom_object(
        "gateway.networking.k8s.io", "v1", "gatewayclasses"
    )["items"]
    names = sorted(one["metadata"]["name"] for one in found)
    if names:
        return good(check, f"there are {', '.join(names)}")
    return bad(check, "there is none", "install a controller of the Gateway API, such as Envoy Gateway, or use GKE's")


def _may_roll_out(client: Any, account: str) -> Finding:
    """Ask whether the steps may do what a roll-out does: pipelines fail late and unclearly without it."""
    check, (namespace, _, name) = "rights of pipelines", account.partition("/")
    api = kubernetes.client
    for verb in ("get", "create", "patch"):
        wanted = api.V1SubjectAccessReview(
            spec=api.V1SubjectAccessReviewSpec(
                user=f"system:serviceaccount:{namespace}:{name}",
                resource_attributes=api.V1ResourceAttributes(
                    group="serving.kserve.io", resource="inferenceservices", verb=verb, namespace=namespace
                ),
            )
        )
        try:
            answer = api.AuthorizationV1Api(client).create_subject_access_review(wanted)
        except ApiException as error:
            return skipped(check, f"this user may not ask ({error.reason})", "ask as an administrator of the cluster")
        if not answer.status.allowed:
            fix = f"bind a role with get, list, create and patch of inferenceservices in {namespace} to {account}"
            return bad(check, f"{account} may not {verb} inferenceservices", fix)
    return good(check, f"{account} may roll models out")


def _autopilot(client: Any) -> Iterator[Finding]:
    """On Autopilot, a pod gets what it asks for and no more; one that asks for nothing gets half a core."""
    nodes = kubernetes.client.CoreV1Api(client).list_node().items
    if not any("autopilot" in (node.metadata.name or "") or "gk3-" in (node.metadata.name or "") for node in nodes):
        return
    pods = kubernetes.client.CoreV1Api(client).list_pod_for_all_namespaces(
        label_selector="app.kubernetes.io/name=questline"
    )
    silent = sorted(
        pod.metadata.name
        for pod in pods.items
        for container in pod.spec.containers
        if not {"cpu", "memory"} <= set((container.resources and container.resources.requests) or {})
    )
    fix = "give every container requests of cpu and memory: helm upgrade -f values-autopilot.yaml"
    yield bad("Autopilot", f"no requests: {', '.join(silent)}", fix) if silent else good("Autopilot", "all pods ask")
