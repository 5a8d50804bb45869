"""What is laid over a pipeline for a cluster: every step fits its nodes, may be tried again, and the end is noted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from questline_core.errors import BadInput
from questline_pipelines.cluster.fitted import compile_fitted
from questline_pipelines.compiled import compile_pipeline
from questline_pipelines.settings import PipelineSettings

AUTOPILOT_GIB_A_CORE = (1.0, 6.5)
SETTINGS = PipelineSettings(
    kfp_image="images.example.com/game/pipeline@sha256:1",
    kfp_nodes={"cloud.google.com/gke-spot": "true"},
    kfp_secret="questline-privacy",
    kfp_notify="https://chat.example.com/hook",
)


@pytest.fixture(scope="module", params=["spend", "churn"])
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    target = tmp_path_factory.mktemp("fitted") / "pipeline.yaml"
    compile_fitted(request.param, target, SETTINGS)
    return list(yaml.safe_load_all(target.read_text()))


def tasks(spec: Any) -> Iterator[tuple[str, Any]]:
    for graph in (spec["root"], *spec["components"].values()):
        yield from graph.get("dag", {}).get("tasks", {}).items()


def steps(spec: Any) -> dict[str, Any]:
    return {name: t for name, t in tasks(spec) if "executorLabel" in spec["components"][t["componentRef"]["name"]]}


def test_the_end_is_noted_whatever_became_of_the_run(documents: Any) -> None:
    (whole, last) = documents[0]["root"]["dag"]["tasks"].values()

    assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert last["dependentTasks"] == ["exit-handler-1"]
    given = last["inputs"]["parameters"]
    assert given["status"] == {"taskFinalStatus": {"producerTask": "exit-handler-1"}}
    assert given["warehouse"] == {"componentInputParameter": "warehouse"}
    assert given["notify"]["runtimeValue"]["constant"] == "https://chat.example.com/hook"
    assert last["cachingOptions"] == {}
    assert whole["componentRef"]["name"] == "comp-exit-handler-1"


def test_it_takes_the_arguments_of_the_plain_pipeline(documents: Any, tmp_path: Path) -> None:
    name = "churn" if documents[0]["pipelineInfo"]["name"] == "churn" else "spend"
    compile_pipeline(name, tmp_path / "plain.yaml")
    plain = next(yaml.safe_load_all((tmp_path / "plain.yaml").read_text()))

    assert documents[0]["root"]["inputDefinitions"] == plain["root"]["inputDefinitions"]
    assert documents[0]["pipelineInfo"]["name"] == plain["pipelineInfo"]["name"]
    assert steps(documents[0]).keys() == steps(plain).keys() | {"note-run"}
    assert cached(documents[0]) == cached(plain)


def cached(spec: Any) -> set[str]:
    return {name for name, task in steps(spec).items() if task["cachingOptions"].get("enableCache")}


def test_every_step_runs_in_our_image_with_whole_shares_that_autopilot_takes(documents: Any) -> None:
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        container = executor["container"]
        resources = container["resources"]
        cores = float(resources["resourceCpuRequest"])
        gib = float(re.fullmatch(r"(\d+)Gi", resources["resourceMemoryRequest"])[1])  # type: ignore[index]
        assert container["image"] == SETTINGS.kfp_image
        assert {"name": "QUESTLINE_PRIVACY_KEY", "value": "/etc/questline/key"} in container["env"]
        assert AUTOPILOT_GIB_A_CORE[0] <= gib / cores <= AUTOPILOT_GIB_A_CORE[1]
        assert resources["resourceCpuLimit"] == resources["resourceCpuRequest"]
        assert resources["resourceMemoryLimit"] == resources["resourceMemoryRequest"]


def test_a_step_is_tried_again_unless_it_changes_what_serves(documents: Any) -> None:
    once = {name for name, task in steps(documents[0]).items() if "retryPolicy" not in task}

    assert "deploy" in once
    assert once <= {"deploy", "shift", "promote", "rollback"}
    assert {task["retryPolicy"]["maxRetryCount"] for _, task in tasks(documents[0]) if "retryPolicy" in task} == {2}


def test_kubernetes_is_told_nodes_secret_deadlines_and_when_to_forget(documents: Any) -> None:
    told = documents[1]["platforms"]["kubernetes"]

    assert told["pipelineConfig"] == {"activeDeadlineSeconds": 21600, "resourceTtlOnCompletion": 604800}
    assert told["deploymentSpec"]["executors"].keys() == documents[0]["deploymentSpec"]["executors"].keys()
    for pod in told["deploymentSpec"]["executors"].values():
        assert pod["nodeSelector"] == {"labels": {"cloud.google.com/gke-spot": "true"}}
        assert pod["secretAsVolume"] == [{"secretName": "questline-privacy", "mountPath": "/etc/questline"}]
        assert pod["activeDeadlineSeconds"] == "7200"
        assert pod["podMetadata"]["labels"]["app.kubernetes.io/component"] == "pipeline"


def test_without_wishes_nothing_is_asked_for(tmp_path: Path) -> None:
    compile_fitted("spend", tmp_path / "spend.yaml", PipelineSettings())
    spec, platform = yaml.safe_load_all((tmp_path / "spend.yaml").read_text())

    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert not any("nodeSelector" in pod or "secretAsVolume" in pod for pod in pods)
    assert "kfp_secret" not in str(spec)


def test_a_pipeline_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no pipeline 'spent'"):
        compile_fitted("spent", tmp_path / "a.yaml", PipelineSettings())


def test_googles_own_client_takes_what_is_for_vertex_ai(tmp_path: Path) -> None:
    """The job is built as it would be sent; nothing is sent."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.aiplatform import PipelineJob

    compile_fitted("spend", tmp_path / "spend.yaml", SETTINGS, vertex=True)
    given = {"warehouse": "bigquery:game/EU", "model_store": "gs://m", "model_host": "kserve:game", "data_version": "7"}

    job = PipelineJob(
        display_name="spend",
        job_id="spend-7",
        template_path=str(tmp_path / "spend.yaml"),
        pipeline_root="gs://m/runs",
        parameter_values=given,
        project="game",
        location="europe-west1",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
    ).to_dict()

    assert job["runtimeConfig"]["parameterValues"] == given
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"].values()
    assert {one["container"]["image"] for one in executors} == {SETTINGS.kfp_image}
    assert "platforms" not in (tmp_path / "spend.yaml").read_text()


def test_vertex_ai_gets_no_image_that_it_could_not_find(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="QUESTLINE_KFP_IMAGE"):
        compile_fitted("spend", tmp_path / "a.yaml", PipelineSettings(), vertex=True)
