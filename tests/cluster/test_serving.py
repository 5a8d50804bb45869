"""Nothing is dropped: a steady load through a whole roll-out, a promotion, a rollback, a broken model, a killed pod, a drain.

The load comes from a pod and asks a gateway in another one, which splits the players. It runs where KUBECONFIG names a
cluster that `prepare.sh` has prepared: see README.md here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.models.cluster import OWNER, ClusterHost, open_cluster
from questline_core.models.cluster_api import DEPLOYMENTS, SERVICES
from questline_core.models.manifests import API_VERSION, DEPLOYMENT_MODE, KIND, spend_service
from questline_core.models.moves import Patience, dark, drop, promote, rollback, shift
from questline_core.models.port import Manifest
from questline_core.testing.kubectl import forwarded
from questline_core.testing.kubectl import kubectl as kubectl_in
from questline_ingest.revisions import Revision, Revisions
from questline_kserve.testing.clients import answers_of_all_clients

pytestmark = pytest.mark.timeout(1200)

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "runbook.md"
NAMESPACE = "questline-serving"
RATE = 200
SETTLED_S = 2.0
"""The gateway follows a change within this time."""
HOLD_S = 10.0
PATIENCE = Patience(limit_s=400)

kubectl = partial(kubectl_in, NAMESPACE)


class Answer(NamedTuple):
    """One line of the load."""

    asked_at: float
    answered_at: float
    player: str
    revision: str
    trouble: str


@dataclass(slots=True)
class Phases:
    """What was done when, and which shares held from when to when."""

    held: list[tuple[str, float, float, dict[str, int]]] = field(default_factory=list)
    """Name, from, until (Unix time), revision -> percent."""
    moved: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Name of a move -> when it began and when it was done."""

    def hold(self, name: str, **shares: int) -> None:
        """Let the load go on under these shares."""
        began = time.time() + SETTLED_S
        time.sleep(SETTLED_S + HOLD_S)
        self.held.append((name, began, time.time(), shares))

    @contextmanager
    def move(self, name: str) -> Iterator[None]:
        """Note when a move was made."""
        began = time.time()
        yield
        self.moved[name] = (began, time.time())


def version(revision: str, *, name: str = "spend") -> Manifest:
    """Describe a version; two replicas, so that one may die."""
    manifest = spend_service(name, revision, f"pvc://models/spend/{revision}")
    manifest["spec"]["predictor"]["minReplicas"] = 2
    return manifest


def until(met: Callable[[], Any], what: str, *, timeout_s: float = 300) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := met():
            return found
        time.sleep(0.5)
    raise TimeoutError(f"not within {timeout_s:g} s: {what}")


def pods(revision: str) -> dict[str, str]:
    """Tell name -> uid of a revision's pods that are ready and not about to end."""
    listed = json.loads(kubectl("get", "pods", "-l", f"app=isvc.spend-{revision}-predictor", "-o", "json"))
    return {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for one in listed["items"]
        if "deletionTimestamp" not in one["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in one["status"].get("conditions", []))
    }


@pytest.fixture
def serving_v1(host: ClusterHost) -> Iterator[None]:
    """Serve v1 on two pods, and nothing beside."""
    host.cluster.delete(SERVICES, "spend")
    until(lambda: not host.cluster.find(DEPLOYMENTS, label=f"{OWNER}=spend"), "nothing is served")
    dark(host, version("v1"), patience=PATIENCE)
    until(lambda: len(pods("v1")) == 2, "two pods of v1")
    yield
    host.cluster.delete(SERVICES, "spend")


@pytest.fixture
def load(serving_v1: None) -> Iterator[Callable[[], list[Answer]]]:
    """Ask for spend at a steady rate, and give a function that ends the load and tells its answers."""
    kubectl("delete", "pod", "load", "gateway", "--ignore-not-found", "--grace-period=1")
    script = kubectl("create", "configmap", "load", f"--from-file={HERE / 'load.py'}", "--dry-run=client", "-o", "yaml")
    kubectl("apply", "-f", "-", given=script)
    kubectl("apply", "-f", str(HERE / "load.yaml"))
    kubectl("wait", "--for=condition=Ready", "pod/load", "pod/gateway", "--timeout=200s", timeout_s=220)
    until(lambda: "answers" in kubectl("exec", "load", "--", "ls", "/out"), "the first answer")

    def ended() -> list[Answer]:
        kubectl("exec", "load", "--", "touch", "/out/stop")
        until(lambda: "done" in kubectl("exec", "load", "--", "ls", "/out"), "the load's end")
        lines = kubectl("exec", "load", "--", "cat", "/out/answers.ndjson").splitlines()
        return [Answer(*json.loads(line)) for line in lines]

    yield ended
    kubectl("delete", "pod", "load", "gateway", "--ignore-not-found", "--grace-period=1")


def test_nothing_is_dropped(
    host: ClusterHost, load: Callable[[], list[Answer]], capsys: pytest.CaptureFixture[str]
) -> None:
    phases = Phases()
    phases.hold("v1 alone", v1=100)
    roll_out(host, phases)
    broken_model(host, phases)
    pod_kill(phases)
    drain(phases)

    answers = load()

    with capsys.disabled():
        sys.stdout.write(told(answers, phases))
    assert {one.trouble for one in answers if one.trouble} == set(), kubectl("logs", "gateway")
    assert all(one.revision for one in answers)
    for name, shares, counted, strays in split(answers, phases):
        assert strays <= 3, name
        for revision, percent in shares.items():
            assert counted[revision] / counted.total() == pytest.approx(percent / 100, abs=0.02), name
    assert rollback_effective_s(answers, phases) < 60


def test_every_command_of_the_runbook_does_what_it_says(host: ClusterHost, serving_v1: None, tmp_path: Path) -> None:
    """In the order of the page; a command whose answer on the page is an error of ours must fail with it."""
    environment = at_night(tmp_path)
    for command, answer in commands(PAGE.read_text(encoding="utf-8")):
        done = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=400
        )
        said = f"$ {command}\n{done.stdout}{done.stderr}"
        assert (done.returncode == 0) is not answer.startswith("questline: "), said
        for part in answer.split("…"):
            assert part.strip() in done.stdout + done.stderr, said
    assert [(one.revision, one.stable) for one in host.status("spend").revisions] == [("v2", True), ("v1", False)]


@pytest.mark.skipif(not find_spec("tritonclient"), reason="tritonclient is not installed")
def test_all_clients_get_equal_answers(serving_v1: None) -> None:
    with (
        forwarded(NAMESPACE, "svc/spend-v1-predictor", 80) as rest,
        forwarded(NAMESPACE, "svc/spend-v1-predictor", 8081) as grpc,
    ):
        answers = answers_of_all_clients(rest, grpc)

    assert len(answers) == 5
    assert {json.dumps(answer) for answer in answers.values()} == {json.dumps(answers["HTTP, V1"])}
    assert (answers["HTTP, V1"]["revision"], answers["HTTP, V1"]["value"]) == ("v1", [1003.0, 4.0])


def test_pods_run_as_the_account_of_the_address_and_a_promotion_restarts_none(host: ClusterHost) -> None:
    account = "questline-rollout"
    named = open_cluster(f"{NAMESPACE}?account={account}")
    first, second = (version(one, name="accounted") for one in ("v1", "v2"))
    try:
        dark(named, first, patience=PATIENCE)
        dark(named, second, patience=PATIENCE)
        before = deployments_of("accounted")
        promote(named, "accounted", "v2", patience=PATIENCE)
        after = deployments_of("accounted")
    finally:
        kubectl("delete", "isvc", "accounted")

    accounts = {one["spec"]["template"]["spec"]["serviceAccountName"] for one in before.values()}
    assert accounts == {account}
    assert {name: one["spec"]["template"] for name, one in before.items()} == {
        name: one["spec"]["template"] for name, one in after.items()
    }


def deployments_of(name: str) -> dict[str, Any]:
    told = kubectl("get", "deployments", "-l", f"serving.kserve.io/inferenceservice={name}", "-o", "json")
    return {one["metadata"]["name"]: one for one in json.loads(told)["items"]}


def test_kubectl_takes_the_manifests_as_they_are(host: ClusterHost) -> None:
    told = kubectl("apply", "--dry-run=server", "-k", str(HERE.parents[1] / "kserve"))

    assert {"inferenceservice.serving.kserve.io/spend", "poddisruptionbudget.policy/spend"} < {
        line.split()[0] for line in told.splitlines()
    }


@pytest.mark.parametrize("mode", ["Knative", "Serverless"])
def test_what_kserve_says_of_its_knative_mode_here(host: ClusterHost, mode: str) -> None:
    """As README.md of the room `kserve` tells it: taken by the API server, with no word of the revisions."""
    predictor = version("v1")["spec"]["predictor"]
    del predictor["name"]  # KServe counts the revisions itself there
    of_mode = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "knative", "annotations": {DEPLOYMENT_MODE: mode}},
        "spec": {"predictor": predictor | {"canaryTrafficPercent": 20}},
    }
    two_named = {
        **of_mode,
        "spec": version("v1")["spec"] | {"canary": [{"predictor": version("v2")["spec"]["predictor"]}]},
    }

    denied = kubectl("apply", "-f", "-", given=json.dumps(two_named), check=False)
    kubectl("apply", "-f", "-", given=json.dumps(of_mode))
    try:
        rejected = partial(kubectl, "get", "events", "--field-selector=involvedObject.name=knative")
        until(lambda: "ServerlessModeRejected" in rejected(), "KServe's word", timeout_s=60)
        status = json.loads(kubectl("get", "isvc", "knative", "-o", "json"))["status"]
        with pytest.raises(BadInput, match="must be 'Standard'"):
            host.status("knative")
    finally:
        kubectl("delete", "isvc", "knative")

    assert "canary is only supported in Standard deployment mode" in denied
    assert (status["deploymentMode"], status.get("components")) == ("Knative", None)


def commands(page: str) -> Iterator[tuple[str, str]]:
    """Find the commands of a page, which may go over several lines, each with the answer that stands below it."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, marked, answer = text.partition("\nquestline: ")
            yield command.strip(), f"questline: {answer.strip()}" if marked else ""


def at_night(folder: Path) -> dict[str, str]:
    """Set up a terminal: a kubeconfig with the namespace, the models on the node's folder, a warehouse of its own."""
    models = "/var/tmp/questline-serving"  # as in models.yaml: the node is this machine
    config = folder / "kubeconfig"
    config.write_bytes(Path(os.environ["KUBECONFIG"]).read_bytes())
    environment = os.environ | {
        "KUBECONFIG": str(config),
        "NAMESPACE": NAMESPACE,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "QUESTLINE_HOME": str(folder / "home"),
        "QUESTLINE_MODEL_HOST": f"kserve:{NAMESPACE}?claim=models&root={models}",
        "QUESTLINE_MODEL_STORE": models,
    }
    set_namespace = ["kubectl", "config", "set-context", "--current", f"--namespace={NAMESPACE}"]
    subprocess.run(set_namespace, env=environment, check=True, capture_output=True, timeout=30)
    return environment


def roll_out(host: ClusterHost, phases: Phases) -> None:
    with phases.move("v2 in the dark"):
        dark(host, version("v2"), patience=PATIENCE)
    phases.hold("v2 dark", v1=100)
    for percent in (20, 50):
        with phases.move(f"shift to {percent} %"):
            shift(host, "spend", "v2", percent, patience=PATIENCE)
        phases.hold(f"v2 at {percent} %", v1=100 - percent, v2=percent)
    with phases.move("promote v2"):
        promote(host, "spend", "v2", patience=PATIENCE)
    phases.hold("v2 stable", v2=100)
    with phases.move("roll back"):
        rollback(host, "spend", to="v1", patience=PATIENCE)
    phases.hold("v1 is back", v1=100)


def broken_model(host: ClusterHost, phases: Phases) -> None:
    with (
        phases.move("a broken model"),
        pytest.raises(NotReady, match=r"golden request 0, value is 1003\.0 and was 1004\.0"),
    ):
        dark(host, version("bad"), patience=PATIENCE)
    phases.hold("a broken one beside", v1=100)
    drop(host, "spend", "bad")


def pod_kill(phases: Phases) -> None:
    before = until(lambda: len(found := pods("v1")) == 2 and found, "two pods of v1")
    with phases.move("kill a pod"):
        kubectl("delete", "pod", next(iter(before)), "--grace-period=0", "--force")
        until(lambda: len(pods("v1")) == 2, "two pods again")
    phases.hold("after the kill", v1=100)


def drain(phases: Phases) -> None:
    """Evict every pod of the model, as a drain does; the budget holds the second until the first has a successor.

    The cluster has one node, which cannot be closed to new pods, or no successor would ever come up.
    """
    leaving = pods("v1") | pods("v2")
    with phases.move("drain"):
        for name in leaving:
            until(partial(evicted, name), f"{name} is evicted")
        until(lambda: len(pods("v1").items() - leaving.items()) == 2, "two new pods of v1")
    phases.hold("after the drain", v1=100)


def evicted(pod: str) -> bool:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    said = kubectl("create", "--raw", path, "-f", "-", given=json.dumps(eviction), check=False)
    assert "Success" in said or "disruption budget" in said or "NotFound" in said, said
    return "disruption budget" not in said


def split(answers: list[Answer], phases: Phases) -> Iterator[tuple[str, dict[str, int], Counter[str], int]]:
    """Tell of each phase its shares, the answers by revision, and the answers from a revision the player is not of."""
    for name, began, ended, shares in phases.held:
        of = Revisions(tuple(Revision(address="", share=share, version=one) for one, share in shares.items()))
        inside = [one for one in answers if began <= one.asked_at <= ended]
        strays = sum(one.revision != of.of(one.player).version for one in inside)
        yield name, shares, Counter(one.revision for one in inside), strays


def rollback_effective_s(answers: list[Answer], phases: Phases) -> float:
    """Tell how long after the command the last answer of the revision came that was rolled back."""
    began, _ = phases.moved["roll back"]
    last = max(one.answered_at for one in answers if one.revision == "v2")
    return last - began


def told(answers: list[Answer], phases: Phases) -> str:
    took = [(name, done - began) for name, (began, done) in phases.moved.items()]
    waited = sorted(one.answered_at - one.asked_at for one in answers)
    seconds = answers[-1].asked_at - answers[0].asked_at
    failed, unnamed = Counter(one.trouble for one in answers if one.trouble), sum(not one.revision for one in answers)
    p50, p99, longest = (waited[min(len(waited) - 1, int(len(waited) * part))] * 1000 for part in (0.5, 0.99, 1))
    lines = [
        f"\n{len(answers):,} calls in {seconds:.0f} s ({len(answers) / seconds:.0f}/s)",
        f"failed {failed.total()} {dict(failed) or ''}, without a revision {unnamed}",
        f"p50 {p50:.1f} ms, p99 {p99:.0f} ms, longest {longest:.0f} ms (load, gateway, models and cluster on one machine)",
        *(f"{name:>20}: {took_s:6.1f} s" for name, took_s in took),
        f"rollback effective after {rollback_effective_s(answers, phases):.1f} s",
        *(
            f"{name:>20}: declared {shares}, answered {dict(counted)}, strays {strays}"
            for name, shares, counted, strays in split(answers, phases)
        ),
        "",
    ]
    return "\n".join(lines)
