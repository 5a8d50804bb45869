"""How revisions change places in a manifest, and how many pods each keeps."""

from __future__ import annotations

from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.models.canary import declared, with_revision, with_share, with_stable, without
from questline_core.models.manifests import spend_service
from questline_core.models.port import Manifest


def version(revision: str, replicas: int = 4, **scaling: int) -> dict[str, Any]:
    manifest = spend_service("spend", revision, f"gs://models/spend/{revision}")
    manifest["spec"]["predictor"] |= {"minReplicas": replicas, **scaling}
    return manifest


def own_pods(manifest: Manifest) -> dict[str, int]:
    """What KServe 0.20 makes of it: the stable revision runs its minReplicas less the canaries'."""
    spec = manifest["spec"]
    canaries = {one["predictor"]["name"]: one["predictor"]["minReplicas"] for one in spec.get("canary", [])}
    return {spec["predictor"]["name"]: spec["predictor"]["minReplicas"] - sum(canaries.values())} | canaries


def test_no_move_takes_a_pod_from_the_stable_revision() -> None:
    dark = with_revision(version("v1"), version("v2"))
    assert own_pods(dark) == {"v1": 4, "v2": 1}
    half = with_share(dark, "v2", 50)
    assert own_pods(half) == {"v1": 4, "v2": 2}
    promoted = with_stable(half, "v2")
    assert own_pods(promoted) == {"v2": 4, "v1": 1}
    assert own_pods(with_stable(promoted, "v1")) == {"v1": 4, "v2": 1}
    assert own_pods(without(promoted, "v1")) == {"v2": 4}


def test_who_serves_is_of_the_place_so_a_promotion_changes_no_pods_account() -> None:
    first = version("v1")
    first["spec"]["predictor"]["serviceAccountName"] = "serving"

    promoted = with_stable(with_revision(first, version("v2")), "v2")["spec"]

    assert promoted["predictor"]["serviceAccountName"] == "serving"
    assert "serviceAccountName" not in promoted["canary"][0]["predictor"]


def test_the_upper_bound_grows_with_the_lower_one() -> None:
    dark = with_revision(version("v1", maxReplicas=6), version("v2"))

    assert dark["spec"]["predictor"]["maxReplicas"] == 7
    assert without(dark, "v2") == version("v1", maxReplicas=6)


@pytest.mark.parametrize("percent", [0, 20, 100])
def test_a_share_that_is_given_twice_is_given_once(percent: int) -> None:
    once = with_share(with_revision(version("v1"), version("v2")), "v2", percent)

    assert with_share(once, "v2", percent) == once
    assert [(one.stable, one.percent) for one in declared(once)] == [(True, 100 - percent), (False, percent)]


@pytest.mark.parametrize(
    ("canary", "says"),
    [
        ({"predictor": {}}, "spec.canary must be a list"),
        (["v2"], "spec.canary must be a list"),
        ([{"trafficPercent": 10}], "spec.canary must be a list"),
        ([{"trafficPercent": "half", "predictor": version("v2")["spec"]["predictor"]}], "trafficPercent is 'half'"),
        ([{"trafficPercent": 101, "predictor": version("v2")["spec"]["predictor"]}], "trafficPercent is 101"),
        ([{"predictor": version("v1")["spec"]["predictor"]}], "two revisions of spend are named v1"),
    ],
)
def test_canaries_that_cannot_be_are_refused(canary: Any, says: str) -> None:
    manifest = version("v1")

    with pytest.raises(BadInput, match=says):
        declared({**manifest, "spec": {**manifest["spec"], "canary": canary}})


def test_canaries_share_no_more_than_all_requests() -> None:
    two = with_revision(with_revision(version("v1"), version("v2")), version("v3"))

    with pytest.raises(BadInput, match="have 110 % together"):
        with_share(with_share(two, "v2", 60), "v3", 50)
