"""The cluster that KUBECONFIG names, prepared by `prepare.sh`: see README.md here."""

from __future__ import annotations

import os
import shutil

import pytest

from questline_core.models.cluster import ClusterHost, open_cluster
from questline_core.testing.kubectl import kubectl

NAMESPACE = "questline-serving"


@pytest.fixture(scope="session")
def host() -> ClusterHost:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    if "NotFound" in kubectl(NAMESPACE, "get", "namespace", NAMESPACE, check=False):
        pytest.skip(f"the cluster has no namespace {NAMESPACE}; run tests/cluster/prepare.sh on a cluster for tests")
    return open_cluster(NAMESPACE)
