"""The manifests of this room are what KServe's own classes know, and what our process takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kserve.models
import kubernetes.client
import pytest
import typer
import yaml

from questline_core.models.manifests import lookup_service, service_of, spend_service
from questline_kserve.commands import serving
from questline_kserve.settings import ServingSettings

ROOM = Path(__file__).parents[2] / "kserve"


def _read(name: str) -> Any:
    return yaml.safe_load((ROOM / name).read_text())


def _unknown(data: Any, kind: str) -> list[str]:
    """List the fields that neither KServe's nor Kubernetes' own classes know."""
    if many := re.fullmatch(r"list\[(.*)\]", kind):
        return [field for one in data for field in _unknown(one, many[1])]
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client, kind, None)
    if model is None:  # a plain value, or a mapping of them
        return []
    attributes = {json_name: attribute for attribute, json_name in model.attribute_map.items()}
    inside = [_unknown(data[name], model.openapi_types[attributes[name]]) for name in data if name in attributes]
    return [f"{kind}.{name}" for name in data if name not in attributes] + [
        field for fields in inside for field in fields
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spend.yaml", "V1beta1InferenceService"),
        ("churn.yaml", "V1beta1InferenceService"),
        ("runtime.yaml", "V1alpha1ClusterServingRuntime"),
    ],
)
def test_a_manifest_holds_only_fields_that_kserve_knows(name: str, kind: str) -> None:
    manifest = _read(name)

    assert _unknown(manifest, kind) == []
    assert _unknown({**manifest, "spec": {"contaners": []}}, kind) != []


def test_pods_of_one_model_keep_apart_in_a_form_that_kubernetes_takes() -> None:
    """It adds the keys of `matchLabelKeys` to the selector, which must be there and must not name them itself."""
    affinity = _read("runtime.yaml")["spec"]["affinity"]["podAntiAffinity"]
    terms = [one["podAffinityTerm"] for one in affinity["preferredDuringSchedulingIgnoredDuringExecution"]]

    assert [term["topologyKey"] for term in terms] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for term in terms:
        (key,) = term["matchLabelKeys"]
        assert key not in str(term["labelSelector"])


@pytest.mark.parametrize(("name", "declared"), [("spend.yaml", spend_service), ("churn.yaml", lookup_service)])
def test_the_example_is_what_the_pipeline_declares(name: str, declared: Callable[[str, str, str], Any]) -> None:
    example = _read(name)
    service = service_of(example)

    assert example == declared(service.name, service.revision, service.storage_uri)


def test_the_runtime_takes_the_formats_that_we_declare() -> None:
    taken = {one["name"] for one in _read("runtime.yaml")["spec"]["supportedModelFormats"]}

    assert taken == {service_of(_read(name)).model_format for name in ("spend.yaml", "churn.yaml")}


def test_the_container_calls_our_command_with_options_that_it_has() -> None:
    (container,) = _read("runtime.yaml")["spec"]["containers"]
    group: Any = typer.main.get_command(serving)
    options = {option for parameter in group.commands["run"].params for option in parameter.opts}

    assert container["command"] == ["questline", "serving", "run"]
    assert {argument.partition("=")[0] for argument in container["args"]} <= options


def test_the_container_opens_the_ports_that_the_process_listens_on(monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = _read("runtime.yaml")["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])

    settings = ServingSettings.read()

    assert settings.serving_host == "0.0.0.0"  # noqa: S104 - in a pod
    assert [port["containerPort"] for port in container["ports"]] == [
        settings.serving_rest_port,
        settings.serving_grpc_port,
    ]
