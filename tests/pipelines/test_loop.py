"""A search on this machine: the same step with several settings side by side, and one that picks."""

from __future__ import annotations

from pathlib import Path

import pytest

from questline_pipelines.events import State, StepEvent
from questline_pipelines.runs import RunFailed, run_here

SEARCH = """
from kfp import dsl

from questline_components.image import component


@component()
def train(setting: dict[str, float], model: dsl.Output[dsl.Model]) -> None:
    from pathlib import Path

    if setting["width"] < 0:
        raise ValueError("no such width")
    Path(model.path).write_text(str(setting["width"]))


@component()
def evaluate(tried: dsl.Input[list[dsl.Model]], metrics: dsl.Output[dsl.Metrics], report: dsl.Output[dsl.HTML]) -> None:
    import json
    from pathlib import Path

    Path(metrics.path).write_text(json.dumps({"best": max(float(Path(one.path).read_text()) for one in tried)}))
    Path(report.path).touch()


@component()
def gate() -> bool:
    return True


@component()
def deploy() -> str:
    return "v1"


@component()
def verify() -> int:
    return 1


@dsl.pipeline(name="search")
def search(settings: list = [{}]) -> None:
    with dsl.ParallelFor(settings, parallelism=2) as setting:
        tried = train(setting=setting)
    judged = evaluate(tried=dsl.Collected(tried.outputs["model"]))
    asked = gate().after(judged)
    served = deploy().after(asked)
    verify().after(served)
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "search_pipeline.py").write_text(SEARCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_each_setting_is_a_step_of_its_own_and_all_results_are_collected(tmp_path: Path) -> None:
    settings = [{"width": 3}, {"width": 7}, {"width": 5}]

    run = run_here("search", {"settings": settings}, function="search_pipeline:search", folder=tmp_path / "home")

    assert run.metrics == {"best": 7.0}
    assert {step.name for step in run.steps if step.name.startswith("train")} == {"train", "train 2", "train 3"}


def test_a_setting_that_fails_fails_the_run_whatever_comes_after(tmp_path: Path) -> None:
    settings = [{"width": -1}, {"width": 7}]
    told = list[StepEvent]()

    with pytest.raises(RunFailed, match="train failed"):
        run_here(
            "search",
            {"settings": settings},
            function="search_pipeline:search",
            folder=tmp_path / "home",
            watch=told.append,
        )

    assert [event.state for event in told if event.name == "train"][-1] is State.FAILED
