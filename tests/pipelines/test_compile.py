"""The compiled spend pipeline: its steps, its edges, what is cached, and that nothing is installed at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from questline_components.image import IMAGE
from questline_pipelines.compiled import compile_pipeline

Spec = dict[str, Any]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    target = tmp_path_factory.mktemp("compiled") / "new" / "spend.yaml"
    compile_pipeline("spend", target)
    compiled: Spec = yaml.safe_load(target.read_text())
    return compiled


def tasks(spec: Spec) -> Mapping[str, Any]:
    """All steps by name, those under conditions with them."""
    dags = [spec["root"], *spec["components"].values()]
    found = {name: task for dag in dags for name, task in dag.get("dag", {}).get("tasks", {}).items()}
    return {name: task for name, task in found.items() if not name.startswith(("condition-", "for-loop-"))}


def test_the_steps_are_those_of_the_diagram(spec: Spec) -> None:
    assert set(tasks(spec)) == {
        "prepare",
        "validate",
        "train",
        "pick",
        "evaluate",
        "gate",
        "export",
        "deploy",
        "compare",
        "shift",
        "judge",
        "promote",
        "verify",
        "rollback",
    }


def test_each_step_takes_its_artifacts_from_the_step_before(spec: Spec) -> None:
    edges = {
        (source["taskOutputArtifact"]["producerTask"], name)
        for name, task in tasks(spec).items()
        for source in task["inputs"].get("artifacts", {}).values()
        if "taskOutputArtifact" in source
    }
    assert edges == {
        ("prepare", "validate"),
        ("prepare", "evaluate"),
        ("for-loop-1", "pick"),
        ("pick", "evaluate"),
        ("evaluate", "gate"),
        *(("export", step) for step in ("deploy", "compare", "shift", "judge")),
    }


def test_nothing_is_trained_before_the_examples_are_found_sound(spec: Spec) -> None:
    loop = spec["root"]["dag"]["tasks"]["for-loop-1"]

    assert set(spec["components"]["comp-for-loop-1"]["dag"]["tasks"]) == {"train"}
    assert set(loop["dependentTasks"]) == {"prepare", "validate"}


def test_each_of_the_settings_is_trained_with_and_two_at_once(spec: Spec) -> None:
    loop = spec["root"]["dag"]["tasks"]["for-loop-1"]

    assert loop["parameterIterator"]["items"] == {"inputParameter": "pipelinechannel--settings"}
    assert loop["iteratorPolicy"] == {"parallelismLimit": 2}


def test_export_deploy_and_verify_wait_for_the_gates_yes(spec: Spec) -> None:
    gated = spec["root"]["dag"]["tasks"]["condition-2"]

    assert gated["triggerPolicy"] == {"condition": "inputs.parameter_values['pipelinechannel--gate-Output'] == true"}
    assert gated["inputs"]["parameters"]["pipelinechannel--gate-Output"]["taskOutputParameter"] == {
        "producerTask": "gate",
        "outputParameterKey": "Output",
    }
    steps = {"export", "deploy", "compare", "shift", "judge"}
    assert set(spec["components"]["comp-condition-2"]["dag"]["tasks"]) == {*steps, "condition-branches-3"}


def test_what_the_judge_says_decides_between_all_players_and_none(spec: Spec) -> None:
    branches = spec["components"]["comp-condition-branches-3"]["dag"]["tasks"]

    told = {name: branch["triggerPolicy"]["condition"] for name, branch in branches.items()}
    yes = "inputs.parameter_values['pipelinechannel--judge-Output'] == true"
    assert told == {"condition-4": yes, "condition-5": f"!({yes})"}
    assert set(spec["components"]["comp-condition-4"]["dag"]["tasks"]) == {"promote", "verify"}
    assert set(spec["components"]["comp-condition-5"]["dag"]["tasks"]) == {"rollback"}


def test_only_steps_that_act_on_the_world_are_never_cached(spec: Spec) -> None:
    uncached = {name for name, task in tasks(spec).items() if not task["cachingOptions"].get("enableCache")}

    assert uncached == {"deploy", "compare", "shift", "judge", "promote", "verify", "rollback"}


def test_the_datas_version_and_the_champion_enter_the_steps_that_depend_on_them(spec: Spec) -> None:
    assert tasks(spec)["prepare"]["inputs"]["parameters"]["data_version"] == {"componentInputParameter": "data_version"}
    assert tasks(spec)["evaluate"]["inputs"]["parameters"]["champion"] == {"componentInputParameter": "champion"}


def test_what_has_no_default_is_where_things_are_and_which_data(spec: Spec) -> None:
    parameters = spec["root"]["inputDefinitions"]["parameters"]

    required = {name for name, parameter in parameters.items() if not parameter.get("isOptional")}
    assert required == {"warehouse", "model_store", "model_host", "data_version"}
    assert {name: p["defaultValue"] for name, p in parameters.items() if name not in required} == {
        "champion": "",
        "horizon_hours": 24,
        "holdout_days": 7,
        "epochs": 20,
        "seed": 1,
        "settings": [{}],
        "strict": False,
        "override": "",
    }


def test_no_step_installs_anything_and_all_run_in_one_image(spec: Spec) -> None:
    containers = [executor["container"] for executor in spec["deploymentSpec"]["executors"].values()]

    assert {container["image"] for container in containers} == {IMAGE}
    for container in containers:
        text = " ".join([*container["command"], *container["args"]])
        assert "pip" not in text.replace("pipeline", "")
        assert "ensurepip" not in text
