"""Folders on a shared volume: named one way by who publishes, another way by the pods that serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_core.models.canary import declared, with_revision, with_uris
from questline_core.models.claim import Claim
from questline_core.models.manifests import spend_service
from questline_core.models.port import open_model_host

HOME = Claim("questline-home", "/var/questline")


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/var/questline/models/spend/v1", "pvc://questline-home/models/spend/v1"),
        ("gs://models/spend/v1", "gs://models/spend/v1"),
        ("pvc://other/spend/v1", "pvc://other/spend/v1"),
    ],
)
def test_a_folder_on_the_volume_is_a_path_in_the_claim_and_back(here: str, there: str) -> None:
    assert HOME.there(here) == there
    assert HOME.here(there) == here


def test_a_file_url_is_a_folder_too() -> None:
    assert HOME.there("file:///var/questline/models/spend/v1") == "pvc://questline-home/models/spend/v1"


@pytest.mark.parametrize(
    ("claim", "says"),
    [(HOME, "the claim questline-home is mounted at /var/questline"), (Claim(), "no claim is named")],
)
def test_a_folder_that_no_pod_can_see_is_refused(claim: Claim, says: str) -> None:
    with pytest.raises(BadInput, match=f"pods cannot read /var/questline2/spend/v1: {says}"):
        claim.there("/var/questline2/spend/v1")


def test_all_revisions_are_renamed_and_the_manifest_is_else_the_same() -> None:
    manifest = with_revision(
        spend_service("spend", "v1", "/var/questline/models/v1"), spend_service("spend", "v2", "gs://models/v2")
    )

    moved = with_uris(manifest, HOME.there)

    assert [one.service.storage_uri for one in declared(moved)] == ["pvc://questline-home/models/v1", "gs://models/v2"]
    assert with_uris(moved, HOME.here) == manifest


@pytest.mark.parametrize(
    "rest", ["?minikube", "?claim=home", "?root=/var", "?color=red", "?context=a&claim=b", "?account="]
)
def test_an_address_that_is_half_told_is_refused(rest: str) -> None:
    with pytest.raises(BadInput, match="is not understood; write kserve:NAMESPACE"):
        open_model_host(f"kserve:models{rest}")


def test_a_context_that_is_not_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any kubeconfig and outside of a pod there is no cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(Exception, match="no cluster to talk to"):
        open_model_host("kserve:models?context=away&claim=home&root=/var/questline")
