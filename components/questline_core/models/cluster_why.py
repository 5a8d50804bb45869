"""Say in a sentence why the pods of a revision do not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_HOPELESS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
"""Reasons to wait that do not pass by themselves."""
_SAID_CHARACTERS = 400


def rolled_out(deployment: Mapping[str, Any] | None) -> bool:
    """Tell whether all pods of a Deployment are of its newest form and available."""
    if not deployment:
        return False
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("replicas", 0)
        and status.get("availableReplicas", 0) >= min(replicas, 1)
    )


def trouble(pods: Sequence[Mapping[str, Any]]) -> str:
    """Say what keeps pods from starting and will not pass by itself; empty when nothing does."""
    return next((_said(pod, one) for pod in pods for one in _containers(pod) if _fails(one)), "")


def waits_for(called: str, deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> str:
    """Say what a revision that is neither ready nor in trouble waits for."""
    if not deployment:
        return f"KServe to make the Deployment {called}"
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"a node for the pod {pod['metadata']['name']}: {condition.get('message', '')}"
    for pod in pods:
        for one in _containers(pod):
            if reason := one.get("state", {}).get("waiting", {}).get("reason"):
                name = pod["metadata"]["name"]
                return f"the pod {name}, which is in {reason}; its events say for what: kubectl describe pod {name}"
    return f"a pod of the Deployment {called} to become ready"


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", [])
    yield from status.get("containerStatuses", [])


def _fails(container: Mapping[str, Any]) -> bool:
    state = container.get("state", {})
    ended = state.get("terminated", {})
    return state.get("waiting", {}).get("reason") in _HOPELESS or ended.get("exitCode", 0) != 0


def _said(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    state = container["state"]
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated") or {}
    waiting = state.get("waiting", {})
    reason = waiting.get("reason") or ended.get("reason", "Error")
    # The last lines of its log, which the runtime asks for by terminationMessagePolicy.
    last = " ".join((ended.get("message") or waiting.get("message") or "").split())[-_SAID_CHARACTERS:]
    return f"pod {pod['metadata']['name']}, container {container['name']}: {reason}" + (f": {last}" if last else "")
