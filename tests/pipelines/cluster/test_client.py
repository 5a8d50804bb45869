"""What Kubeflow Pipelines is asked for, against a stand-in of its API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from questline_core.errors import BadInput, NotReady
from questline_pipelines.cluster.client import Kubeflow
from questline_pipelines.settings import PipelineSettings
from questline_pipelines.trigger.kubeflow import OnKubeflow
from questline_pipelines.trigger.starter import DONE, RUNNING

GIVEN = {"data_version": "7", "epochs": 3}


def test_a_run_is_of_the_version_that_is_here_with_its_arguments_and_account(kubeflow: Kubeflow, server: Any) -> None:
    run = kubeflow.submit("spend", GIVEN, name="spend-1")

    (made,) = server.held["runs"]
    assert (made["run_id"], made["display_name"], made["service_account"]) == (run, "spend-1", "steps")
    assert made["runtime_config"]["parameters"] == GIVEN
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-1", "pipeline_version_id": "version-1"}
    assert server.versions[0]["pipeline_spec"]["pipelineInfo"]["name"] == "spend-training"
    assert set(server.tokens) == {"Bearer secret"}


def test_the_same_pipeline_is_put_there_once_and_its_version_tells_the_code(kubeflow: Kubeflow, server: Any) -> None:
    assert kubeflow.upload("spend") == kubeflow.upload("spend")

    assert len(server.versions) == 1
    assert server.versions[0]["tags"].keys() == {"questline", "code"}
    assert server.versions[0]["display_name"].startswith("spend-")


def test_a_schedule_is_of_the_newest_version_and_takes_the_place_of_the_one_before(
    kubeflow: Kubeflow, server: Any
) -> None:
    kubeflow.schedule("spend", GIVEN, cron="0 0 4 * * 0")
    kubeflow.schedule("spend", GIVEN, cron="0 0 5 * * 0")

    (made,) = server.held["recurringruns"]
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 5 * * 0"
    assert made["pipeline_version_reference"] == {"pipeline_id": "pipeline-1"}
    assert (made["max_concurrency"], made["no_catchup"], made["mode"]) == ("1", True, "ENABLE")


def test_no_step_of_a_scheduled_run_is_spared_and_those_of_other_runs_are(kubeflow: Kubeflow, server: Any) -> None:
    kubeflow.schedule("spend", GIVEN, cron="0 0 4 * * 0")
    kubeflow.submit("spend", GIVEN, name="spend-1")

    scheduled, other = (spared(version["pipeline_spec"]) for version in server.versions)
    assert (scheduled, "train" in other, "deploy" in other) == (set(), True, False)
    assert [one["display_name"] for one in server.held["pipelines"]] == ["spend-scheduled", "spend"]


def spared(spec: Any) -> set[str]:
    graphs = [spec["root"], *spec["components"].values()]
    tasks = [task for graph in graphs for task in graph.get("dag", {}).get("tasks", {}).items()]
    return {name for name, task in tasks if task.get("cachingOptions", {}).get("enableCache")}


def test_a_run_goes_on_until_its_state_is_final(kubeflow: Kubeflow, server: Any) -> None:
    starter = OnKubeflow(kubeflow)
    run = starter.start("spend", GIVEN)
    assert (starter.running("spend"), starter.outcome(run)) == (run, RUNNING)

    server.held["runs"][0]["state"] = "SUCCEEDED"
    assert (starter.running("spend"), starter.outcome(run)) == ("", DONE)

    server.held["runs"][0] |= {"state": "FAILED", "error": {"message": "out of memory"}}
    assert starter.outcome(run) == "out of memory"


def test_a_server_that_refuses_or_is_not_there_is_one_sentence(kubeflow: Kubeflow, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="answers 404: run-9 was not found"):
        kubeflow.state("run-9")
    with pytest.raises(BadInput, match="QUESTLINE_KFP_ENDPOINT"):
        Kubeflow(PipelineSettings.read())


def test_watch_shows_each_step_once_and_fails_with_the_run(
    kubeflow: Kubeflow, server: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from questline_pipelines.cluster.commands import RunEnded, watch

    monkeypatch.setenv("QUESTLINE_KFP_ENDPOINT", server.url)
    run = kubeflow.submit("spend", GIVEN, name="spend-1")
    steps = [{"display_name": "prepare", "state": "SUCCEEDED"}, {"display_name": "train", "state": "FAILED"}]
    server.held["runs"][0] |= {"state": "FAILED", "run_details": {"task_details": steps}}

    with pytest.raises(RunEnded, match="ended as failed"):
        watch(run)

    assert capsys.readouterr().out.split() == ["prepare", "succeeded", "train", "failed"]
