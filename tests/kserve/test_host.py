"""One contract for all model hosts, the process on this machine and the cluster, and what only the process does.

The cluster's half runs where KUBECONFIG is set: see tests/cluster/README.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from kfp import dsl
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_components.rollout.deploy import deploy as deploy_step
from questline_core.errors import BadInput, NotReady
from questline_core.ledger.table import Ledger
from questline_core.models.cluster import OWNER, open_cluster
from questline_core.models.cluster_api import DEPLOYMENTS, SERVICES
from questline_core.models.comparing import Worse, compare
from questline_core.models.manifests import service_of, spend_service
from questline_core.models.moves import dark, promote, rollback, shift
from questline_core.models.port import Manifest, ModelHost, ServiceStatus
from questline_core.models.rollout import AnswersDiffer, read_golden
from questline_core.warehouse.port import open_warehouse
from questline_kserve.testing.process import ServingProcess, wait_for


@dataclass(frozen=True, slots=True)
class Contracted:
    """A host that is tried, and where its tiny models are: v1, v2, and bad, whose golden answers are not its own."""

    host: ModelHost
    uri: Callable[[str], str]
    """Where the version of this name is."""
    name: str = "spend"

    def version(self, revision: str) -> Manifest:
        """Describe a version."""
        return spend_service(self.name, revision, self.uri(revision))

    def places(self) -> list[tuple[str, bool, int]]:
        """Tell revision, stable and percent of all that is declared."""
        return places(self.host.status(self.name))


def places(status: ServiceStatus) -> list[tuple[str, bool, int]]:
    """Tell revision, stable and percent of all that is declared."""
    return [(one.revision, one.stable, one.percent) for one in status.revisions]


def deploy(host: ModelHost, manifest: Manifest) -> ServiceStatus:
    """Let a revision answer for all requests: in the dark first, then in the stable place."""
    wanted = service_of(manifest)
    dark(host, manifest)
    return promote(host, wanted.name, wanted.revision)


NAMESPACE = "questline-serving"


@pytest.fixture(params=["embedded", pytest.param("cluster", marks=pytest.mark.timeout(400))])
def tried(request: pytest.FixtureRequest) -> Contracted:
    """Both hosts, with nothing declared."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def cluster() -> Iterator[Contracted]:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    host = open_cluster(NAMESPACE)
    host.cluster.delete(SERVICES, "contract")
    wait_for(lambda: not host.cluster.find(DEPLOYMENTS, label=f"{OWNER}=contract"), "nothing is served")
    yield Contracted(host, lambda revision: f"pvc://models/spend/{revision}", name="contract")
    host.cluster.delete(SERVICES, "contract")


@pytest.fixture
def embedded(serving: ServingProcess, store: Path) -> Contracted:
    manifest = serving.home / "serving" / "inferenceservices" / "spend.yaml"
    manifest.unlink(missing_ok=True)
    wait_for(lambda: serving.predict({}).status_code == 404, "nothing is served")
    return Contracted(serving.host, lambda revision: str(store / revision))


def test_a_rollout_goes_from_the_dark_to_a_share_to_stable_and_back(tried: Contracted) -> None:
    """Every step of a whole life, each done twice."""
    for _ in "12":
        assert places(dark(tried.host, tried.version("v1"))) == [("v1", True, 100)]
    for _ in "12":
        assert places(dark(tried.host, tried.version("v2"))) == [("v1", True, 100), ("v2", False, 0)]
    for _ in "12":
        assert places(shift(tried.host, tried.name, "v2", 20)) == [("v1", True, 80), ("v2", False, 20)]
    for _ in "12":
        assert places(promote(tried.host, tried.name, "v2")) == [("v2", True, 100), ("v1", False, 0)]
    assert places(rollback(tried.host, tried.name, to="v1")) == [("v1", True, 100), ("v2", False, 0)]
    status = tried.host.status(tried.name)
    assert (status.ready, status.revision, status.wanted, status.message) == (True, "v1", "v1", "")
    assert [one.ready for one in status.revisions] == [True, True]


def test_a_rollback_takes_a_canarys_share_first(tried: Contracted) -> None:
    """The nearest way back is the first."""
    deploy(tried.host, tried.version("v1"))
    dark(tried.host, tried.version("v2"))
    shift(tried.host, tried.name, "v2", 50)

    assert places(rollback(tried.host, tried.name)) == [("v1", True, 100), ("v2", False, 0)]
    with pytest.raises(NotReady, match="not known what was stable before"):
        rollback(tried.host, tried.name)


def test_a_broken_revision_says_why_and_gets_no_request(tried: Contracted) -> None:
    """It stays in the dark, and the next roll-out clears it away."""
    deploy(tried.host, tried.version("v1"))
    with pytest.raises(NotReady, match=r"golden request 0, value is 1003\.0 and was 1004\.0"):
        dark(tried.host, tried.version("bad"))
    with pytest.raises(NotReady, match="bad does not answer"):
        promote(tried.host, tried.name, "bad")
    with pytest.raises(NotReady, match="bad does not answer"):
        shift(tried.host, tried.name, "bad", 10)

    assert tried.places() == [("v1", True, 100), ("bad", False, 0)]
    assert tried.host.status(tried.name).ready
    dark(tried.host, tried.version("v2"))
    assert tried.places() == [("v1", True, 100), ("v2", False, 0)]


def test_a_revision_never_changes_its_model(tried: Contracted) -> None:
    """A name says which model answered."""
    deploy(tried.host, tried.version("v1"))

    with pytest.raises(BadInput, match="a revision never changes"):
        deploy(tried.host, spend_service(tried.name, "v1", tried.uri("v2")))


def test_what_is_not_there_is_a_sentence(tried: Contracted) -> None:
    """No host falls over a wrong name."""
    assert tried.host.manifest(tried.name) is None
    with pytest.raises(NotReady, match="apply one first"):
        tried.host.status(tried.name)
    with pytest.raises(NotReady, match="deploy a revision first"):
        promote(tried.host, tried.name, "v1")
    deploy(tried.host, tried.version("v1"))
    with pytest.raises(BadInput, match="no canary 'v9'"):
        promote(tried.host, tried.name, "v9")
    assert tried.name in tried.host.services()


def test_a_request_is_answered_by_the_revision_that_it_names(embedded: Contracted, serving: ServingProcess) -> None:
    deploy(embedded.host, embedded.version("v1"))
    dark(embedded.host, embedded.version("v2"))

    assert [_scale(serving, revision) for revision in ("", "v1", "v2")] == [("v1", 1.0), ("v1", 1.0), ("v2", 2.0)]
    with pytest.raises(grpc.RpcError, match="served by revision v1, v2, and not by v9"):
        _scale(serving, "v9")


def _scale(serving: ServingProcess, revision: str) -> tuple[str, float]:
    request = pb.ModelInferRequest(
        model_name="spend", model_version=revision, raw_input_contents=[np.float32(3).tobytes()]
    )
    request.inputs.add(name="events", datatype="FP32", shape=[1])
    request.outputs.add(name="lower_bound")
    with grpc.insecure_channel(serving.grpc_address) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30)
    return answer.model_version, np.frombuffer(answer.raw_output_contents[0], np.float32).item()


def test_the_step_that_deploys_writes_the_ledger(embedded: Contracted, serving: ServingProcess, store: Path) -> None:
    published = dsl.Model(uri=str(store / "v1"))
    warehouse = f"duckdb:{serving.home / 'warehouse'}"

    revision = deploy_step.python_func(
        published=published, model_host=f"folder:{serving.home / 'serving'}", warehouse=warehouse
    )

    with closing(open_warehouse(warehouse)) as opened:
        (entry,) = Ledger(opened, str(store.parent)).history("spend")
    assert (revision, entry["revision"], entry["move"], entry["share_percent"]) == ("v1", "v1", "deploy", 100)
    assert len(entry["model_digest"]) == 64


def test_a_comparison_asks_both_the_same_and_tells_what_differs_by_slice(embedded: Contracted, store: Path) -> None:
    """The candidate is asked in the dark, by its name; v2 answers twice what v1 does."""
    deploy(embedded.host, embedded.version("v1"))
    dark(embedded.host, embedded.version("v2"))
    rows = [{"events": 1.0, "country": "NL"}, {"events": 2.0, "country": "BE"}, {"events": 4.0, "country": "BE"}]

    found = compare(embedded.host, "spend", "v2", golden=read_golden(store / "v2"), rows=rows, slices=["country"])

    found.check()
    assert found.champion
    assert (found.golden, found.champion.revision, found.candidate.errors) == (2, "v1", [])
    deltas = {one.part: one for one in found.deltas if one.output == "value"}
    assert {part: (one.rows, one.champion_mean, one.candidate_mean) for part, one in deltas.items()} == {
        "all": (3, pytest.approx(1007 / 3), pytest.approx(1014 / 3)),
        "country=NL": (1, 1001.0, 1002.0),
        "country=BE": (2, 3.0, 6.0),
    }
    assert deltas["country=BE"].largest == 4.0


def test_a_candidate_that_fails_or_is_slow_is_worse(embedded: Contracted, store: Path) -> None:
    deploy(embedded.host, embedded.version("v1"))
    dark(embedded.host, embedded.version("v2"))
    golden = read_golden(store / "v2")

    failing = compare(embedded.host, "spend", "v2", golden=golden, rows=[{"events": 1.0}, {"colour": "red"}])
    with pytest.raises(Worse, match=r"v2 must not serve: 1 errors: .*input 'colour' is unknown"):
        failing.check()
    slow = compare(embedded.host, "spend", "v2", golden=golden, rows=[{"events": 1.0}])
    slow.candidate.latency_ms = [slow.candidate.median_ms * 3 + 100]
    with pytest.raises(Worse, match="its median is"):
        slow.check()
    with pytest.raises(AnswersDiffer, match="golden request 0, value is 1006"):
        compare(embedded.host, "spend", "v2", golden=read_golden(store / "v1"), rows=[])
    with pytest.raises(NotReady, match="v9 does not answer"):
        compare(embedded.host, "spend", "v9", golden=golden, rows=[])
