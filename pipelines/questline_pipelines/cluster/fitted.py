"""The pipelines as a cluster runs them: the same functions, whose end is noted, in pods that fit.

A pipeline's file says what is done and nothing of pods, so it runs on a laptop as well. What a cluster needs beside is
laid over what the compiler made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from google.protobuf.json_format import MessageToDict
from kfp import dsl
from kfp.compiler import Compiler
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

from questline_components.image import IMAGE
from questline_components.rollout.note_run import note_run
from questline_core.errors import BadInput
from questline_core.processes import write_atomically
from questline_pipelines.catalogue import function_of, load
from questline_pipelines.settings import PipelineSettings

DEADLINE_S, STEP_DEADLINE_S = 6 * 3600, 2 * 3600
KEPT_S = 7 * 24 * 3600
"""The pods of a run that is over stay so long, for whoever wants to look; what they made stays anyway."""

SMALL, LARGE = (1.0, 4), (4.0, 16)
"""Cores and GiB: whole shares that GKE Autopilot takes as they are (1 to 6.5 GiB a core), requests as limits."""
_LARGE = ("train", "prepare", "evaluate", "predict", "remake")
_RETRIES = {"maxRetryCount": 2, "backoffDuration": "30s", "backoffFactor": 2.0, "backoffMaxDuration": "300s"}
_ACTS = ("deploy", "promote", "shift", "rollback")
"""Steps that change what serves: when one fails, a person looks before it is done again."""

Documents = list[dict[str, Any]]
"""A compiled pipeline: its specification, and what only Kubernetes reads."""


def compile_fitted(name: str, target: Path, settings: PipelineSettings, *, vertex: bool = False) -> None:
    """Write the YAML of one pipeline as Kubeflow Pipelines on a cluster takes it, or Vertex AI Pipelines.

    Vertex AI has nodes, deadlines and mounts of its own, so it gets the specification alone.

    Raises:
        BadInput: there is no such pipeline, the file cannot be written, or Vertex AI could not find the image.
    """
    if vertex:
        if "/" not in settings.kfp_image:
            raise BadInput(
                "Vertex AI needs an image with its registry; set QUESTLINE_KFP_IMAGE to HOST/PROJECT/…/pipeline:TAG"
            )
        settings = settings.model_copy(update={"kfp_secret": "", "kfp_nodes": {}})
    with TemporaryDirectory() as folder:
        aside = Path(folder) / "pipeline.yaml"
        Compiler().compile(with_end(name, notify=settings.kfp_notify), str(aside))
        documents = list(yaml.safe_load_all(aside.read_text(encoding="utf-8")))
    fit(documents, settings)
    write_atomically(target, yaml.safe_dump_all(documents[:1] if vertex else documents, sort_keys=False))


def with_end(name: str, *, notify: str) -> Any:
    """Give the pipeline with a last step that notes the outcome, also of a run that failed."""
    inner = load(function_of(name))
    takes = signature(inner.pipeline_func, eval_str=True)

    def whole(*given: Any) -> None:
        arguments = dict(zip(takes.parameters, given, strict=True))
        last = note_run(pipeline=name, warehouse=arguments["warehouse"], notify=notify)
        with dsl.ExitHandler(last.set_caching_options(False), name=f"{name} and its end"):
            inner(**arguments)

    whole.__signature__ = takes  # type: ignore[attr-defined] # the compiler asks for it
    whole.__doc__ = inner.pipeline_func.__doc__
    config = dsl.PipelineConfig(ttl_seconds_after_finished=KEPT_S, active_deadline_seconds=DEADLINE_S)
    return dsl.pipeline(whole, name=inner.name, description=inner.description or "", pipeline_config=config)


def fit(documents: Documents, settings: PipelineSettings) -> None:
    """Set image, resources, environment, retries and what Kubernetes reads, for every step."""
    spec = documents[0]
    for name, task in _tasks(spec):
        step = spec["components"][task["componentRef"]["name"]].get("executorLabel")
        if step and not name.startswith(_ACTS):
            task["retryPolicy"] = dict(_RETRIES)
    executors = spec["deploymentSpec"]["executors"]
    for label, executor in executors.items():
        container = executor["container"]
        if container["image"] == IMAGE:  # Google's components bring their own
            container["image"] = settings.kfp_image or IMAGE
        container["resources"] = _resources(*(LARGE if label.removeprefix("exec-").startswith(_LARGE) else SMALL))
        if settings.kfp_secret:
            container.setdefault("env", []).append({"name": "QUESTLINE_PRIVACY_KEY", "value": "/etc/questline/key"})
    if len(documents) == 1:
        documents.append({"platforms": {"kubernetes": {}}})
    kubernetes = documents[1]["platforms"]["kubernetes"]
    kubernetes.setdefault("deploymentSpec", {})["executors"] = {label: _on_kubernetes(settings) for label in executors}


def _tasks(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for graph in (spec["root"], *spec["components"].values()):
        yield from graph.get("dag", {}).get("tasks", {}).items()


def _resources(cores: float, gib: int) -> dict[str, Any]:
    return {
        "cpuRequest": cores,
        "cpuLimit": cores,
        "memoryRequest": float(gib * 2**30 / 1e9),
        "memoryLimit": float(gib * 2**30 / 1e9),
        "resourceCpuRequest": f"{cores:g}",
        "resourceCpuLimit": f"{cores:g}",
        "resourceMemoryRequest": f"{gib}Gi",
        "resourceMemoryLimit": f"{gib}Gi",
    }


def _on_kubernetes(settings: PipelineSettings) -> dict[str, Any]:
    """Describe the pods of a step in the form that kfp-kubernetes has for it."""
    pod = KubernetesExecutorConfig(active_deadline_seconds=STEP_DEADLINE_S)
    pod.pod_metadata.labels["app.kubernetes.io/name"] = "questline"
    pod.pod_metadata.labels["app.kubernetes.io/component"] = "pipeline"
    for key, value in settings.kfp_nodes.items():
        pod.node_selector.labels[key] = value
    if settings.kfp_secret:
        pod.secret_as_volume.add(secret_name=settings.kfp_secret, mount_path="/etc/questline")
    told: dict[str, Any] = MessageToDict(pod)
    return told
