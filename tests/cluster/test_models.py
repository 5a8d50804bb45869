"""A trained spend model answers alike from a volume, a bucket and an image, and one that was changed does not answer.

KServe brings it into the pod in three ways: a mounted claim, its storage initializer, and a container beside the server.
It runs where KUBECONFIG names a cluster that `prepare.sh` has prepared: see README.md here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from questline_core import places
from questline_core.errors import NotReady
from questline_core.ledger.commands import revisions
from questline_core.models.cluster import OWNER, ClusterHost
from questline_core.models.cluster_api import DEPLOYMENTS, SERVICES
from questline_core.models.manifests import spend_service
from questline_core.models.moves import Patience, dark
from questline_core.models.rollout import infer, read_golden, verify
from questline_core.models.store import ModelVersion, latest
from questline_core.testing.cloud_storage import asked_by_gcsfs
from questline_core.testing.kubectl import forwarded
from questline_core.testing.kubectl import kubectl as kubectl_in
from questline_kserve.testing.process import wait_for

pytestmark = pytest.mark.timeout(600)

NAMESPACE = "questline-serving"
STORE = "/var/tmp/questline-serving/trained"  # as in prepare.sh: the node is this machine
WEIGHTS = "saved_model/variables/variables.data-00000-of-00001"
NAME = "brought"
PATIENCE = Patience(limit_s=200)

kubectl = partial(kubectl_in, NAMESPACE)


@pytest.fixture
def trained(host: ClusterHost) -> Iterator[ModelVersion]:
    version = latest(STORE, "spend")
    if version is None:
        pytest.skip("the cluster has no trained model; run tests/cluster/prepare.sh")
    gone(host)
    yield version
    gone(host)


def gone(host: ClusterHost) -> None:
    host.cluster.delete(SERVICES, NAME)
    wait_for(lambda: not host.cluster.find(DEPLOYMENTS, label=f"{OWNER}={NAME}"), "nothing is served")


@pytest.fixture
def bucket(host: ClusterHost) -> Iterator[str]:
    """Reach the cluster's bucket from here."""
    if "NotFound" in kubectl_in("default", "get", "service", "gcs", check=False):
        pytest.skip("the cluster has no Cloud Storage; run tests/cluster/prepare.sh with fake-gcs-server on PATH")
    with forwarded("default", "svc/gcs", 4443) as storage, asked_by_gcsfs(f"http://{storage}"):
        made = httpx.post(f"http://{storage}/storage/v1/b", json={"name": "models"})
        assert made.status_code in {200, 409}, made.text
        yield "gs://models"


def test_a_model_answers_alike_from_a_volume_a_bucket_and_an_image(
    host: ClusterHost, trained: ModelVersion, bucket: str
) -> None:
    in_bucket = f"{bucket}/spend/{trained.version}"
    places.deliver(trained.folder, in_bucket)
    golden = read_golden(trained.folder)

    answers = {}
    for uri in (
        f"pvc://models/trained/spend/{trained.version}",
        in_bucket,
        f"oci://cluster.local/questline/spend-model:{trained.version}",
    ):
        dark(host, spend_service(NAME, trained.version, uri), patience=PATIENCE)
        with forwarded(NAMESPACE, f"svc/{NAME}-{trained.version}-predictor", 80) as rest:
            url = f"http://{rest}"
            assert verify(golden, rest_url=url, name=NAME, revision=trained.version) == len(golden) > 0
            told = infer(url, NAME, [one["inputs"] for one in golden])
        answers[uri] = json.dumps([told["model_version"], told["outputs"]])
        gone(host)

    assert len(answers) == 3
    assert len(set(answers.values())) == 1


def test_a_file_that_was_changed_in_the_bucket_is_not_served(
    host: ClusterHost, trained: ModelVersion, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"{bucket}/changed/{trained.version}"
    places.deliver(trained.folder, uri)
    weights = tmp_path / WEIGHTS
    weights.parent.mkdir(parents=True)
    first, *others = (trained.folder / WEIGHTS).read_bytes()
    weights.write_bytes(bytes([first ^ 1, *others]))
    places.deliver(tmp_path, uri)

    with pytest.raises(NotReady, match=f"{WEIGHTS} is not the file that was published"):
        dark(host, spend_service(NAME, trained.version, uri), patience=PATIENCE)

    monkeypatch.setenv("QUESTLINE_MODEL_HOST", f"kserve:{NAMESPACE}")
    why = CliRunner().invoke(revisions, ["why", "--model", NAME])
    assert f"{WEIGHTS} is not the file that was published" in why.stdout
    assert "is not the file" in kubectl("logs", f"--selector=serving.kserve.io/inferenceservice={NAME}", "--tail=5")


def test_a_version_that_is_not_in_the_bucket_says_so(host: ClusterHost, trained: ModelVersion, bucket: str) -> None:
    with pytest.raises(NotReady, match=r"container storage-initializer: .*nothing"):
        dark(host, spend_service(NAME, trained.version, f"{bucket}/nothing/{trained.version}"), patience=PATIENCE)
