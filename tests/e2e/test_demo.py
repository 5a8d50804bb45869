"""The demo, run as a newcomer runs it: what it promises is checked on what it leaves behind."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from questline_core.stack.supervisor import questline_command

REAL_EVENTS = Path(__file__).parents[3] / "shared/data/flood_it_events/events.ndjson"


def start_demo(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        questline_command("demo", "--players", "2000", "--end", "2026-11-25", "--out", str(folder / "out"), *arguments),
        cwd=folder,
        env={**os.environ, "QUESTLINE_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("QUESTLINE_HOME", "").startswith(str(folder)):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo")
    events = ("--events", str(REAL_EVENTS)) if REAL_EVENTS.exists() else ()
    with start_demo(folder, *events) as running:
        said, _ = running.communicate(timeout=840)
        assert running.returncode == 0, said
    return folder, said


@pytest.fixture(scope="module")
def summary(demo: tuple[Path, str]) -> dict[str, Any]:
    folder, _ = demo
    found: dict[str, Any] = json.loads((folder / "out/summary.json").read_text())
    return found


@pytest.mark.timeout(900)
def test_every_event_that_was_sent_is_accounted_for(summary: dict[str, Any]) -> None:
    assert summary["sent"] == summary["accepted"] + summary["duplicate"] + summary["rejected"]
    assert summary["rows"] == summary["accepted"] > 10_000
    assert summary["rejects_kept"] == summary["rejected"] > 0


@pytest.mark.timeout(900)
def test_a_crash_of_the_gateway_loses_nothing_that_was_acknowledged(summary: dict[str, Any]) -> None:
    sent = summary["by_source"]["simulated players during crashes (generated)"]["sent"]
    assert all(0 < acknowledged < sent for acknowledged in summary["crash"]["acknowledged_at_kill"])
    assert summary["acknowledged_lost"] == 0


@pytest.mark.timeout(900)
def test_the_answers_come_from_the_revision_of_this_run_which_beats_the_constant(summary: dict[str, Any]) -> None:
    metrics = summary["metrics"]
    assert summary["spend_revision"].startswith("v")
    assert metrics["model"]["log_loss"] < metrics["constant"]["log_loss"]


@pytest.mark.timeout(900)
def test_three_churn_models_are_judged_and_the_one_with_the_least_log_loss_is_the_champion(
    summary: dict[str, Any],
) -> None:
    judged = summary["churn_metrics"]
    losses = {kind: one["log_loss"]["value"] for kind, one in judged["models"].items()}

    assert losses.keys() == {"logistic", "trees", "network"}
    assert losses[judged["champion"]] == min(losses.values())


@pytest.mark.timeout(900)
def test_a_new_a_loyal_and_a_leaving_player_are_told_apart_with_the_reasons(summary: dict[str, Any]) -> None:
    told = {one["kind"]: one for one in summary["churn_answers"]}
    champion = summary["churn_metrics"]["champion"]

    assert told.keys() == {"new", "loyal", "leaving"}
    assert {one["generation"] for one in told.values()} == {summary["churn_generation"]}
    assert (told["new"]["source"], told["new"]["why"]) == ("first_hours", {})
    for kind in ("loyal", "leaving"):
        assert (told[kind]["source"], len(told[kind]["why"])) in {(champion, 3), ("prior", 0)}
    assert told["loyal"]["probability"] <= told["leaving"]["probability"]


@pytest.mark.timeout(900)
def test_the_report_is_one_file_that_needs_nothing_else(demo: tuple[Path, str], summary: dict[str, Any]) -> None:
    page = (demo[0] / "out/report.html").read_text()
    assert summary["spend_revision"] in page
    assert all(one["player"] in page for one in summary["churn_answers"])
    assert "ROC curves" in page
    assert page.count("<main>") == page.count("</main>") == 1
    assert 'src="http' not in page
    assert '<link rel="stylesheet"' not in page


@pytest.mark.timeout(900)
def test_the_demo_leaves_no_process_behind(demo: tuple[Path, str]) -> None:
    assert processes_of(demo[0]) == []


def test_a_file_that_is_not_there_ends_the_demo_before_it_starts_anything(tmp_path: Path) -> None:
    with start_demo(tmp_path, "--events", "nosuch.ndjson") as running:
        said, _ = running.communicate(timeout=60)

    assert running.returncode == 1
    assert "nosuch.ndjson" in said
    assert "Traceback" not in said
    assert not (tmp_path / "home/demo/logs").exists()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_no_process_behind(tmp_path: Path, end: signal.Signals) -> None:
    with start_demo(tmp_path) as running:
        deadline = time.monotonic() + 60
        while len(processes_of(tmp_path)) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(processes_of(tmp_path)) >= 4, "the demo started nothing"
        running.send_signal(end)
        said, _ = running.communicate(timeout=90)

    assert processes_of(tmp_path) == []
    assert "Traceback" not in said
