"""Traps of a cluster, as its API tells of them over HTTP."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import kubernetes
import pytest

from questline_core.doctor.cluster import CRDS, examine_cluster
from questline_core.doctor.findings import Finding, Verdict
from questline_core.errors import NotReady
from questline_core.testing.http_server import Handler, serving

GATEWAY_CLASSES = "gatewayclasses.gateway.networking.k8s.io"


@dataclass
class Cluster:
    """What the API server says; as it stands here there is no trap."""

    crds: list[str] = field(default_factory=lambda: [*CRDS, GATEWAY_CLASSES])
    mode: str = "Standard"
    classes: list[str] = field(default_factory=lambda: ["gke-l7-global-external-managed"])
    allowed: list[str] = field(default_factory=lambda: ["get", "create", "patch"])
    nodes: list[str] = field(default_factory=lambda: ["node-1"])
    pods: list[dict[str, Any]] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)

    def answer(self, path: str, body: Any) -> Any:
        named = {
            "customresourcedefinitions": [_definition(name) for name in self.crds],
            "gatewayclasses": [{"metadata": {"name": name}} for name in self.classes],
            "nodes": [{"metadata": {"name": name}} for name in self.nodes],
            "pods": self.pods,
        }
        last = _last(path)
        if last == "inferenceservice-config":
            return {"data": {"deploy": json.dumps({"defaultDeploymentMode": self.mode})}}
        if last == "subjectaccessreviews":
            self.asked_for.add(body["spec"]["user"])
            verb = body["spec"]["resourceAttributes"]["verb"]
            return {"spec": body["spec"], "status": {"allowed": verb in self.allowed}}
        return {"items": named[last]}


def _last(path: str) -> str:
    return path.split("?", maxsplit=1)[0].rpartition("/")[2]


def _definition(name: str) -> dict[str, Any]:
    plural, _, group = name.partition(".")
    spec = {"group": group, "names": {"kind": plural, "plural": plural}, "scope": "Namespaced"}
    version = {"name": "v1", "served": True, "storage": True}
    return {"metadata": {"name": name}, "spec": spec | {"versions": [version]}}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Any]:
    class Answers(Handler):
        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if _last(self.path) in cluster.forbidden:
                self.send_error(403)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(cluster.answer(self.path, json.loads(content or b"null"))).encode())

        do_GET = do_POST = answer  # noqa: N815 - the names that the library calls

    with serving(Answers) as url:
        yield kubernetes.client.ApiClient(kubernetes.client.Configuration(host=url))


def traps(client: Any) -> list[Finding]:
    findings = examine_cluster(client, account="kubeflow/pipeline-runner")
    return [one for one in findings if one.verdict is not Verdict.GOOD]


def test_a_good_cluster_has_no_traps(client: Any, cluster: Cluster) -> None:
    assert traps(client) == []
    assert cluster.asked_for == {"system:serviceaccount:kubeflow:pipeline-runner"}


@pytest.mark.parametrize("crd", CRDS)
def test_a_missing_crd_is_named_with_what_to_install(client: Any, cluster: Cluster, crd: str) -> None:
    cluster.crds.remove(crd)

    assert [(one.found, one.fix) for one in traps(client)] == [(f"{crd} is missing", CRDS[crd])]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"mode": "Serverless"}, "KServe's default is Serverless"),
        ({"classes": []}, "there is none"),
        ({"allowed": ["get", "create"]}, "kubeflow/pipeline-runner may not patch inferenceservices"),
    ],
)
def test_each_trap_is_found_alone_and_has_a_fix(
    client: Any, cluster: Cluster, change: dict[str, Any], told: str
) -> None:
    for name, value in change.items():
        setattr(cluster, name, value)

    (trap,) = traps(client)
    assert (trap.verdict, trap.found) == (Verdict.BAD, told)
    assert trap.fix


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("customresourcedefinitions", "CRD"),
        ("inferenceservice-config", "deployment mode"),
        ("gatewayclasses", "gateway class"),
        ("subjectaccessreviews", "rights of pipelines"),
        ("nodes", "Autopilot"),
    ],
)
def test_what_the_user_may_not_see_is_skipped_and_the_rest_is_looked_at(
    client: Any, cluster: Cluster, kind: str, check: str
) -> None:
    cluster.forbidden.append(kind)

    (skipped,) = traps(client)
    assert (skipped.verdict, skipped.check) == (Verdict.SKIPPED, check)
    assert "Forbidden" in skipped.found


def test_a_cluster_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "questline_core.doctor.cluster._TIMEOUT_S", (0.1, 0.1)
    )  # a float alone is no time-out for this client
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = kubernetes.client.Configuration(host=host)
        settings.retries = False

        with pytest.raises(NotReady, match="does not answer"):
            traps(kubernetes.client.ApiClient(settings))


def test_on_autopilot_a_pod_that_asks_for_nothing_is_named(client: Any, cluster: Cluster) -> None:
    asking = {"name": "c", "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}}
    cluster.pods = [
        {"metadata": {"name": "silent"}, "spec": {"containers": [{"name": "c"}]}},
        {"metadata": {"name": "asking"}, "spec": {"containers": [asking]}},
    ]
    assert traps(client) == []

    cluster.nodes = ["gk3-questline-pool-1"]
    assert [one.found for one in traps(client)] == ["no requests: silent"]
