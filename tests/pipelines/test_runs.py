"""Runs on this machine: what is told, kept, cached and left behind."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from questline_pipelines.events import State, StepEvent
from questline_pipelines.record import Run
from questline_pipelines.runs import RunFailed

RunToy = Callable[..., Run]
Earlier = tuple[Path, Run, list[StepEvent]]
STEPS = ["prepare", "train", "evaluate", "gate", "export", "deploy", "verify"]


def cached(run: Run) -> list[str]:
    return [step.name for step in run.steps if step.cached]


def test_each_step_is_told_as_waiting_running_and_done_in_its_turn(earlier: Earlier) -> None:
    _, _, told = earlier

    assert [event.name for event in told if event.state is State.WAITING] == STEPS
    assert [(event.name, str(event.state)) for event in told[len(STEPS) :]] == [
        (name, state) for name in STEPS for state in ("running", "done")
    ]


def test_the_record_says_what_shipped_and_why_and_lies_in_the_runs_folder(earlier: Earlier) -> None:
    folder, run, _ = earlier

    place = folder / "runs" / run.run
    assert json.loads((place / "run.json").read_text()) == json.loads(run.to_json())
    assert (run.revision, run.shipped, run.error) == ("v1", True, None)
    assert run.reasons == ["it beats the constant"]
    assert run.metrics == {"model": {"error": 1.5}}
    assert run.report == str(place / "report.html")
    assert Path(run.report).read_text() == "<p>good</p>"
    assert run.card == str(place / "model_card.md")
    assert Path(run.card).read_text() == "# Toy model"
    assert run.parameters["data_version"] == "1"
    assert "fitting" in (place / "log.txt").read_text()
    assert cached(run) == []


def test_a_model_that_the_gate_refuses_is_not_rolled_out_and_the_run_succeeds(run_toy: RunToy, tmp_path: Path) -> None:
    run = run_toy(tmp_path, ship=False)

    assert {step.name for step in run.steps if step.state is State.SKIPPED} == {"export", "deploy", "verify"}
    assert (run.revision, run.shipped, run.reasons) == (None, False, ["it does not beat the constant"])


def test_the_same_data_takes_all_from_an_earlier_run_but_what_acts_on_the_world(
    run_toy: RunToy, earlier: Earlier
) -> None:
    folder, first, _ = earlier

    again = run_toy(folder)

    assert cached(again) == ["prepare", "train", "evaluate", "gate", "export"]
    assert (again.revision, again.metrics, again.reasons) == (first.revision, first.metrics, first.reasons)


def test_new_data_is_prepared_and_trained_again(run_toy: RunToy, earlier: Earlier) -> None:
    folder, _, _ = earlier

    assert cached(run_toy(folder, data_version="2")) == []


def test_an_output_that_is_gone_is_made_again(run_toy: RunToy, earlier: Earlier) -> None:
    folder, _, _ = earlier
    shutil.rmtree(folder / "store")

    assert cached(run_toy(folder)) == ["prepare", "train", "evaluate", "gate"]


def test_what_other_code_has_made_is_not_taken(run_toy: RunToy, earlier: Earlier, tmp_path: Path) -> None:
    folder, _, _ = earlier
    (cache,) = (folder / "cache").iterdir()
    shutil.copytree(cache, tmp_path / "cache" / "another-digest")

    assert cached(run_toy(tmp_path, store=str(folder / "store"))) == []


@pytest.mark.parametrize(
    ("fail", "why"),
    [
        ("sentence", "prepare failed: there are no events yet;\nsend some first"),
        ("error", "prepare failed: ValueError: no such column"),
        ("silent", "prepare failed: it ended without saying why (out of memory, or ended from outside)"),
    ],
)
def test_a_failed_step_says_why_and_where_the_log_is(run_toy: RunToy, tmp_path: Path, fail: str, why: str) -> None:
    with pytest.raises(RunFailed) as failure:
        run_toy(tmp_path, fail=fail)

    (place,) = (tmp_path / "runs").iterdir()
    assert str(failure.value) == f"{why}\nThe run's whole log: {place / 'log.txt'}"
    kept = json.loads((place / "run.json").read_text())
    assert kept["error"] == why
    assert [step["state"] for step in kept["steps"]] == ["failed"] + ["skipped"] * 6
    assert list((tmp_path / "cache").rglob("*.json")) == []


def test_a_run_that_is_interrupted_leaves_no_process_behind(run_toy: RunToy, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(event: StepEvent) -> None:
        if event.state is State.RUNNING:
            while not (tmp_path / "hangs").exists():
                threading.Event().wait(0.02)
            family.extend(set(psutil.Process().children(recursive=True)) - before)
            raise Interrupted

    family, before = list[psutil.Process](), set(psutil.Process().children(recursive=True))
    with pytest.raises(Interrupted):
        run_toy(tmp_path, interrupt, fail="hang", data_version=str(tmp_path / "hangs"))

    assert len(family) >= 2
    _, alive = psutil.wait_procs(family, timeout=10)  # the dead stay listed until the system has taken note
    assert alive == []
