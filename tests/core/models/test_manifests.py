"""InferenceServices as Questline writes and takes them."""

from __future__ import annotations

from typing import Any

import pytest

from questline_core.errors import BadInput
from questline_core.models.manifests import Service, from_yaml, service_of, spend_service, to_yaml


def _changed(path: str, value: Any) -> dict[str, Any]:
    """Make a usable manifest with another value at a dotted path."""
    manifest = spend_service("spend", "v1", "gs://models/spend/v1")
    *parents, last = path.split(".")
    level: Any = manifest
    for key in parents:
        level = level[key]
    level[last] = value
    return manifest


def test_a_spend_service_names_its_predictor_and_keeps_a_replica_in_standard_mode() -> None:
    assert spend_service("spend", "v20261125-013000-3f9a", "gs://models/spend/v1") == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "spend", "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {
            "predictor": {
                "name": "v20261125-013000-3f9a",
                "minReplicas": 1,
                "model": {
                    "modelFormat": {"name": "questline"},
                    "runtime": "questline",
                    "storageUri": "gs://models/spend/v1",
                },
            },
        },
    }


def test_what_is_written_as_yaml_is_read_back() -> None:
    manifest = spend_service("spend", "v1", "/models/spend/v1")

    assert from_yaml(to_yaml(manifest)) == manifest
    assert service_of(from_yaml(to_yaml(manifest))) == Service(
        name="spend", revision="v1", storage_uri="/models/spend/v1"
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("apiVersion", "serving.kserve.io/v1alpha1"),
        ("kind", "Pod"),
        ("metadata", None),
        ("metadata.name", "Spend"),
        ("metadata.name", "a/../b"),
        ("metadata.name", "s" * 64),
        ("metadata.name", 7),
        ("metadata.annotations", {}),
        ("spec.predictor.name", "v1-"),
        ("spec.predictor.name", None),
        ("spec.predictor.model", []),
        ("spec.predictor.model.modelFormat.name", "tensorflow"),
        ("spec.predictor.model.storageUri", "models/spend"),
        ("spec.predictor.model.storageUri", ""),
    ],
)
def test_a_manifest_that_cannot_be_used_names_the_field(path: str, value: Any) -> None:
    with pytest.raises(BadInput, check=lambda error: path.partition(".")[0] in str(error)):
        service_of(_changed(path, value))


@pytest.mark.parametrize("uri", ["gs://bucket/spend", "file:///models/spend", "pvc://claim/spend", "/models/spend"])
def test_a_model_lies_at_a_url_or_at_an_absolute_path(uri: str) -> None:
    assert service_of(spend_service("spend", "v1", uri)).storage_uri == uri


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "plain", "a: 1\n---\nb: 2", "\0"])
def test_text_that_is_not_one_mapping_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="the manifest is"):
        from_yaml(text)


def test_a_manifest_cannot_run_code_when_it_is_read() -> None:
    with pytest.raises(BadInput, match="not YAML"):
        from_yaml("!!python/object/apply:os.system ['true']")
