"""The compiled churn pipeline: its steps, what waits for what, and that nothing is cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from questline_pipelines.catalogue import function_of, load
from questline_pipelines.compiled import compile_pipeline
from questline_pipelines.local import step_names

Spec = dict[str, Any]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    target: Path = tmp_path_factory.mktemp("compiled") / "churn.yaml"
    compile_pipeline("churn", target)
    found: Spec = yaml.safe_load(target.read_text())["root"]["dag"]["tasks"]
    return found


def test_three_models_train_in_parallel_after_validation_and_are_judged_together(tasks: Spec) -> None:
    trained = {"train", "train-2", "train-3"}

    for name in trained:
        assert set(tasks[name]["dependentTasks"]) == {"prepare", "validate"}
    assert trained <= set(tasks["evaluate"]["dependentTasks"])
    kinds = {tasks[name]["inputs"]["parameters"]["kind"]["runtimeValue"]["constant"] for name in trained}
    assert kinds == {"logistic", "trees", "network"}


def test_a_run_names_its_trainings_by_the_models_they_train() -> None:
    names = step_names(load(function_of("churn")).pipeline_spec)

    assert list(names)[:1] == ["prepare"]
    assert {names[task] for task in ("train", "train-2", "train-3")} == {
        "train logistic",
        "train trees",
        "train network",
    }


def test_scores_go_to_the_lookup_and_to_files_after_the_gate(tasks: Spec) -> None:
    assert "gate" in tasks["predict"]["dependentTasks"]
    for name in ("publish", "export-csv", "verify"):
        assert "predict" in tasks[name]["dependentTasks"]
    assert tasks["deploy"]["dependentTasks"] == ["publish"]


def test_no_step_is_cached_because_tables_change_behind_it(tasks: Spec) -> None:
    assert [name for name, task in tasks.items() if task["cachingOptions"].get("enableCache")] == []
