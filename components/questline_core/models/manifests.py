"""Build, write and check InferenceService manifests, the only description of what is served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from questline_core.errors import BadInput
from questline_core.models.port import Manifest

API_VERSION = "serving.kserve.io/v1beta1"
KIND = "InferenceService"
DEPLOYMENT_MODE = "serving.kserve.io/deploymentMode"
RUNTIME = "questline"
"""Name of our ServingRuntime, and of the model format of a SavedModel's version."""
LOOKUP = "lookup"
"""The model format of a folder of lookup generations, which the same runtime takes."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a manifest says that a host of models must know."""

    name: str
    """`metadata.name`: the model's name in requests."""
    revision: str
    """`spec.predictor.name`: the version of the model."""
    storage_uri: str
    """Where the version's folder is: a URL, or an absolute path on this machine."""
    model_format: str = RUNTIME
    """`RUNTIME` or `LOOKUP`."""


def spend_service(name: str, revision: str, storage_uri: str) -> dict[str, Any]:
    """Describe a spend model's version as an InferenceService of KServe's Standard mode.

    Raises:
        BadInput: a name is not a DNS label, or the address is neither a URL nor an absolute path.
    """
    return _manifest(name, revision, storage_uri, RUNTIME)


def lookup_service(name: str, revision: str, storage_uri: str) -> dict[str, Any]:
    """Describe a folder of lookup generations as an InferenceService; a new generation needs no new manifest.

    Raises:
        BadInput: a name is not a DNS label, or the address is neither a URL nor an absolute path.
    """
    manifest = _manifest(name, revision, storage_uri, LOOKUP)
    predictor = manifest["spec"]["predictor"]
    predictor["model"] |= {
        "env": [{"name": "QUESTLINE_PRIVACY_KEY", "value": "/etc/questline/key"}],
        "volumeMounts": [{"name": "privacy", "mountPath": "/etc/questline", "readOnly": True}],
    }
    # Only the pods of a lookup check signatures, so only they hold the secret; it must not be readable by everybody.
    predictor["volumes"] = [{"name": "privacy", "secret": {"secretName": "questline-privacy", "defaultMode": 0o440}}]
    predictor["securityContext"] = {"fsGroup": 10001}  # the group of the image's user
    return manifest


def _manifest(name: str, revision: str, storage_uri: str, model_format: str) -> dict[str, Any]:
    """Build a manifest and check it.

    The predictor is named from the first deploy on and has one replica at least: only a named one can become a
    canary or the way back later, and a canary without replicas is never ready.
    """
    manifest = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "annotations": {DEPLOYMENT_MODE: "Standard"}},
        "spec": {
            "predictor": {
                "name": revision,
                "minReplicas": 1,
                "model": {"modelFormat": {"name": model_format}, "runtime": RUNTIME, "storageUri": storage_uri},
            },
        },
    }
    service_of(manifest)
    return manifest


def service_of(manifest: Manifest) -> Service:
    """Check a manifest and take from it what a host of models must know.

    Raises:
        BadInput: says which field is wrong and what belongs there.
    """
    _expect(manifest, "apiVersion", API_VERSION)
    _expect(manifest, "kind", KIND)
    _expect(manifest, f"metadata.annotations[{DEPLOYMENT_MODE}]", "Standard")
    model_format = _text(manifest, "spec.predictor.model.modelFormat.name")
    if model_format not in {RUNTIME, LOOKUP}:
        raise BadInput(
            f"spec.predictor.model.modelFormat.name is {model_format!r} and must be {RUNTIME!r} or {LOOKUP!r}"
        )
    return Service(
        name=check_label("metadata.name", _text(manifest, "metadata.name")),
        revision=check_label("spec.predictor.name", _text(manifest, "spec.predictor.name")),
        storage_uri=_checked_uri(_text(manifest, "spec.predictor.model.storageUri")),
        model_format=model_format,
    )


def check_label(field: str, value: str) -> str:
    """Give back a name that Kubernetes accepts.

    Raises:
        BadInput: it is not a DNS label.
    """
    if not _LABEL.fullmatch(value):
        raise BadInput(f"{field} is {value!r}; use 1 to 63 small letters, digits and dashes, no dash at the ends")
    return value


def to_yaml(manifest: Manifest) -> str:
    """Write a manifest as kubectl takes it."""
    return yaml.safe_dump(dict(manifest), sort_keys=False)


def from_yaml(text: str) -> Manifest:
    """Read a manifest; what it says is checked by `service_of`.

    Raises:
        BadInput: the text is not one YAML mapping.
    """
    try:
        manifest = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"the manifest is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(manifest, Mapping):
        raise BadInput(f"the manifest is a {type(manifest).__name__} and not a mapping such as kubectl takes")
    return manifest


def _checked_uri(uri: str) -> str:
    if not (uri.startswith("/") or re.match(r"[a-z][a-z0-9+-]*://", uri)):
        raise BadInput(f"spec.predictor.model.storageUri is {uri!r}; give a URL or an absolute path")
    return uri


def _expect(manifest: Manifest, path: str, wanted: str) -> None:
    if (found := _at(manifest, path)) != wanted:
        raise BadInput(f"{path} is {found!r} and must be {wanted!r}")


def _text(manifest: Manifest, path: str) -> str:
    value = _at(manifest, path)
    if not isinstance(value, str):
        raise BadInput(f"{path} is {value!r} and must be a string")
    return value


def _at(manifest: Manifest, path: str) -> Any:
    """Find the value at a dotted path; a key that has dots stands in brackets at the end."""
    dotted, _, bracketed = path.removesuffix("]").partition("[")
    value: Any = manifest
    for key in [*dotted.split("."), *([bracketed] if bracketed else [])]:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
