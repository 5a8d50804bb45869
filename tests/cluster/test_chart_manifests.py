"""What the chart renders is taken by a real API server: by its own schemas, and by a dry run there.

They run where KUBECONFIG is set: see tests/cluster/README.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).parents[2] / "helm" / "questline"
CLOUD = ("--set=addresses.broker=pubsub:game/events", "--set=addresses.warehouse=bigquery:game/EU")
EVERYTHING = "monitoring.podMonitoring,monitoring.serviceMonitor,monitoring.alerts,monitoring.dashboards"
FIRST = "serving.first.spend.revision=v1,serving.first.spend.format=questline,serving.first.spend.storageUri=pvc://m/v1"
LOAD = "--set=load.enabled=true"
PRESETS = {"laptop": (LOAD,), "autopilot": (LOAD, *CLOUD), "production": CLOUD}
ELSEWHERE = {"monitoring.googleapis.com/v1", "monitoring.coreos.com/v1"}
"""Kinds of operators that the cluster of the tests does not have."""

pytestmark = pytest.mark.timeout(120)


def program(name: str) -> str:
    if "KUBECONFIG" not in os.environ:
        pytest.skip("no cluster: KUBECONFIG is not set")
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str, given: str | None = None) -> str:
    done = subprocess.run(
        [program(command[0]), *command[1:]], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(params=PRESETS)
def rendered(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    flags = ",".join(f"{name}=true" for name in EVERYTHING.split(","))
    values = (f"--values={CHART}/values-{request.param}.yaml", *PRESETS[request.param])
    text = run(
        "helm", "template", "game", str(CHART), "--kube-version=1.34.4", *values, f"--set={flags}", f"--set={FIRST}"
    )
    return [one for one in yaml.safe_load_all(text) if one]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the API server's own schemas as files that kubeconform reads; a field they do not name is an error."""
    folder = tmp_path_factory.mktemp("schemas")
    definitions = json.loads(run("kubectl", "get", "--raw", "/openapi/v2"))["definitions"]
    for one in definitions.values():
        _close(one)
    for name, one in definitions.items():
        for kind in one.get("x-kubernetes-group-version-kind", ()):
            file = "-".join(filter(None, (kind["kind"], kind["group"].split(".")[0], kind["version"]))).lower()
            whole = {
                "$ref": f"#/definitions/{name}",
                "definitions": {used: definitions[used] for used in _used(definitions, name)},
            }
            (folder / f"{file}.json").write_text(json.dumps(whole))
    return folder


def _close(schema: Any) -> None:
    """Refuse fields without a name, and let numbers stand for text where Kubernetes does."""
    if isinstance(schema, list):
        for one in schema:
            _close(one)
    if not isinstance(schema, dict):
        return
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for inner in schema.values():
        _close(inner)


def _used(definitions: dict[str, Any], name: str) -> set[str]:
    """Name a definition and all that it refers to."""
    used, left = set[str](), [name]
    while left:
        one = left.pop()
        if one not in used:
            used.add(one)
            left += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[one]))
    return used


def known_here(rendered: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all([one for one in rendered if one["apiVersion"] not in ELSEWHERE])


def conform(schemas: Path, text: str) -> dict[str, Any]:
    done = subprocess.run(
        [
            program("kubeconform"),
            "-output=json",
            "-summary",
            f"-schema-location={schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_every_manifest_conforms_to_the_servers_schemas(rendered: list[dict[str, Any]], schemas: Path) -> None:
    told = conform(schemas, known_here(rendered))

    assert told["resources"] == []
    assert told["summary"]["valid"] > 20
    assert told["summary"]["skipped"] == 0


def test_a_field_that_the_server_does_not_know_does_not_conform(schemas: Path) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 1}}

    told = conform(schemas, yaml.safe_dump(service))

    assert told["summary"]["invalid"] == 1, told


def test_a_server_takes_every_manifest_in_a_dry_run(rendered: list[dict[str, Any]]) -> None:
    told = run(
        "kubectl",
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--namespace=default",
        "--filename=-",
        given=known_here(rendered),
    )

    assert len(told.splitlines()) == len(list(yaml.safe_load_all(known_here(rendered))))
