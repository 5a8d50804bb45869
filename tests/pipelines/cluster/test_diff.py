"""What a change of a pipeline runs again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from questline_pipelines.cluster.diff import differences
from questline_pipelines.compiled import compile_pipeline


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    target = tmp_path_factory.mktemp("compiled") / "spend.yaml"
    compile_pipeline("spend", target)
    return next(yaml.safe_load_all(target.read_text()))


@pytest.fixture
def changed(compiled: Any) -> Any:
    return copy.deepcopy(compiled)


def kinds(old: Any, new: Any) -> dict[str, str]:
    return {one.step: one.kind for one in differences(old, new)}


def test_prose_and_order_change_nothing(compiled: Any, changed: Any) -> None:
    changed["pipelineInfo"]["description"] = "other words"
    changed["components"]["comp-train"]["inputDefinitions"]["parameters"]["epochs"]["description"] = "other words"
    changed["root"]["dag"]["tasks"] = dict(reversed(changed["root"]["dag"]["tasks"].items()))

    assert set(kinds(compiled, changed).values()) == {"same"}


def test_a_changed_step_runs_again_and_so_does_all_that_reads_from_it(compiled: Any, changed: Any) -> None:
    changed["deploymentSpec"]["executors"]["exec-train"]["container"]["args"][1] = "other code"

    found = kinds(compiled, changed)

    assert (found["prepare"], found["train"], found["evaluate"]) == ("same", "changed", "after a change")
    assert {found[name] for name in ("gate", "export", "deploy", "verify")} == {"after a change"}


def test_it_says_why(compiled: Any, changed: Any) -> None:
    changed["deploymentSpec"]["executors"]["exec-gate"]["container"]["image"] = "other:1"
    changed["components"]["comp-for-loop-1"]["dag"]["tasks"]["train"]["cachingOptions"] = {}

    why = {one.step: one.why for one in differences(compiled, changed) if one.kind == "changed"}

    assert why == {"gate": "image", "train": "caching"}


def test_steps_that_come_and_go_are_told(compiled: Any, changed: Any) -> None:
    del changed["root"]["dag"]["tasks"]["gate"]

    assert kinds(compiled, changed)["gate"] == "gone"
    assert kinds(changed, compiled)["gate"] == "new"


def test_the_command_compares_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from questline_core.cli import questline

    questline(["pipelines", "compile", "spend", "-o", str(tmp_path / "spend.yaml")], standalone_mode=False)
    questline(["pipelines", "diff", "spend", "--against", str(tmp_path / "spend.yaml")], standalone_mode=False)

    assert "\n0 of " in capsys.readouterr().out
