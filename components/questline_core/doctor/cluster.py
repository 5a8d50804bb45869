"""Traps of a cluster: what KServe and Kubeflow need there and do not say clearly when they miss it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import kubernetes
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from questline_core.doctor.findings import Finding, bad, good, skipped
from questline_core.errors import NotReady

CRDS = {
    "inferenceservices.serving.kserve.io": "install KServe 0.20 or newer with its CRDs",
    "servingruntimes.serving.kserve.io": "install KServe 0.20 or newer with its CRDs",
    "httproutes.gateway.networking.k8s.io": "install the Gateway API's CRDs, which carry a canary's shares",
}


_TIMEOUT_S, _NOT_FOUND = 10, 404


def examine_cluster(client: Any, *, account: str) -> Iterator[Finding]:
    """Look at a cluster; what whoever asks may not see is skipped.

    Args:
        client: of the cluster's API.
        account: NAMESPACE/NAME of the service account as which the steps of pipelines run.

    Raises:
        NotReady: the API does not answer.
    """
    checks: Mapping[str, Callable[[Any], Iterator[Finding]]] = {
        "CRD": _crds,
        "deployment mode": _deployment_mode,
        "gateway class": _gateway_class,
        "rights of pipelines": partial(_may_roll_out, account=account),
        "Autopilot": _autopilot,
    }
    for check, look in checks.items():
        try:
            yield from look(client)
        except ApiException as error:
            yield skipped(check, f"the cluster answers {error.reason}", "ask as an administrator of the cluster")
        except HTTPError as error:
            raise NotReady(f"the cluster does not answer ({error})") from None


def _crds(client: Any) -> Iterator[Finding]:
    found = kubernetes.client.ApiextensionsV1Api(client).list_custom_resource_definition(_request_timeout=_TIMEOUT_S)
    there = {one.metadata.name for one in found.items}
    for name, fix in CRDS.items():
        yield good("CRD", f"{name} is there") if name in there else bad("CRD", f"{name} is missing", fix)


def _deployment_mode(client: Any) -> Iterator[Finding]:
    check, api = "deployment mode", kubernetes.client.CoreV1Api(client)
    try:
        told = api.read_namespaced_config_map("inferenceservice-config", "kserve", _request_timeout=_TIMEOUT_S)
    except ApiException as error:
        yield skipped(check, f"kserve/inferenceservice-config: {error.reason}", "install KServe, or ask to read it")
        return
    mode = json.loads((told.data or {}).get("deploy", "{}")).get("defaultDeploymentMode", "Knative")
    if mode in {"Standard", "RawDeployment"}:
        yield good(check, f"KServe's default is {mode}")
        return
    fix = "set deploy.defaultDeploymentMode to Standard in kserve/inferenceservice-config: spec.canary works there only"
    yield bad(check, f"KServe's default is {mode}", fix)


def _gateway_class(client: Any) -> Iterator[Finding]:
    check, api = "gateway class", kubernetes.client.CustomObjectsApi(client)
    try:
        found = api.list_cluster_custom_object(
            "gateway.networking.k8s.io", "v1", "gatewayclasses", _request_timeout=_TIMEOUT_S
        )
    except ApiException as error:
        if error.status != _NOT_FOUND:
            raise
        yield bad(check, "the Gateway API is not installed", CRDS["httproutes.gateway.networking.k8s.io"])
        return
    if names := sorted(one["metadata"]["name"] for one in found["items"]):
        yield good(check, f"there are {', '.join(names)}")
    else:
        fix = "install a controller of the Gateway API, such as Envoy Gateway, or use GKE's"
        yield bad(check, "there is none", fix)


def _may_roll_out(client: Any, *, account: str) -> Iterator[Finding]:
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
        answer = api.AuthorizationV1Api(client).create_subject_access_review(wanted, _request_timeout=_TIMEOUT_S)
        if not answer.status.allowed:
            fix = f"bind a role with get, list, create and patch of inferenceservices in {namespace} to {account}"
            yield bad(check, f"{account} may not {verb} inferenceservices", fix)
            return
    yield good(check, f"{account} may roll models out")


def _autopilot(client: Any) -> Iterator[Finding]:
    """On Autopilot, a pod gets what it asks for and no more; one that asks for nothing gets half a core."""
    api = kubernetes.client.CoreV1Api(client)
    names = [node.metadata.name or "" for node in api.list_node(_request_timeout=_TIMEOUT_S).items]
    if not any("autopilot" in name or "gk3-" in name for name in names):
        return
    pods = api.list_pod_for_all_namespaces(
        label_selector="app.kubernetes.io/name=questline", _request_timeout=_TIMEOUT_S
    )
    silent = sorted(
        pod.metadata.name
        for pod in pods.items
        for container in pod.spec.containers
        if not {"cpu", "memory"} <= set((container.resources and container.resources.requests) or {})
    )
    fix = "give every container requests of cpu and memory: helm upgrade -f values-autopilot.yaml"
    yield bad("Autopilot", f"no requests: {', '.join(silent)}", fix) if silent else good("Autopilot", "all pods ask")
