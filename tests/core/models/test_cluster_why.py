"""What a revision waits for, told from objects as an API server gives them."""

from __future__ import annotations

from typing import Any

from questline_core.models.cluster_why import waits_for

CALLED = "churn-lookup-predictor"


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": f"{CALLED}-x"}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "kserve-container", "state": {"waiting": {"reason": reason}}}


def test_a_pod_whose_volume_cannot_be_mounted_is_named_with_the_command_that_says_why() -> None:
    """Nothing in the pod itself tells of a missing Secret: only its events do."""
    told = waits_for(CALLED, {"spec": {}}, [pod(containerStatuses=[waiting("ContainerCreating")])])

    assert "is in ContainerCreating" in told
    assert told.endswith(f"kubectl describe pod {CALLED}-x")


def test_a_pod_without_a_node_waits_for_one_and_a_revision_without_a_deployment_for_kserve() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}

    assert waits_for(CALLED, {"spec": {}}, [pod(conditions=[unscheduled])]).endswith("0/1 nodes are available")
    assert waits_for(CALLED, {}, []) == f"KServe to make the Deployment {CALLED}"
    assert waits_for(CALLED, {"spec": {}}, [pod()]) == f"a pod of the Deployment {CALLED} to become ready"
