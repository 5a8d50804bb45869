"""`questline trigger serve` as it runs beside the other processes of one machine."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from questline_core.errors import NotReady
from questline_core.stack.supervisor import Supervisor
from questline_pipelines.trigger.ledger import STARTED, Entry
from questline_pipelines.trigger.process import opened
from questline_pipelines.trigger.settings import TriggerSettings
from questline_pipelines.trigger.starter import RUNNING
from questline_pipelines.turns import turn

# The supervisor lets go of a process that it started: the next one finds it by its file.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.mark.timeout(300)  # it trains in a process of its own, on whatever is left of the machine
def test_new_labels_start_one_run_and_the_log_tells_what_became_of_it(
    game: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from questline_core.cli import questline

    supervisor = Supervisor(
        game.settings().paths,
        {"QUESTLINE_TRIGGER_WATCH_S": "0.1", "QUESTLINE_TRIGGER_LABELS": "30", "QUESTLINE_TRIGGER_DEBOUNCE_S": "0"},
    )
    game.play(40)
    supervisor.start("trigger")
    try:
        address = supervisor.wait_ready("trigger")["address"]
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert httpx.post(f"{address}/push/load", content=b"{}").status_code == 403

        with opened(game.settings()) as ledger:
            for _ in range(2400):
                if ledger.latest(9) and not ledger.unfinished():
                    break
                time.sleep(0.1)
            entries = ledger.latest(9)
    finally:
        supervisor.stop("trigger")

    assert [(one.action, one.cause, one.decision) for one in entries] == [("spend", "40 new labels", "started")]
    assert "examples are due" in (
        entries[0].outcome or ""
    )  # the pipeline itself said why: forty are too few to learn from
    assert (game.home / "pipelines" / "runs" / str(entries[0].run) / "run.json").exists()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUESTLINE_HOME", str(game.home))
        questline(["trigger", "log"], standalone_mode=False)
    assert "40 new labels: started spend-" in capsys.readouterr().out


def test_the_log_tells_what_is_so_of_runs_whose_trigger_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from questline_core.cli import questline

    settings = TriggerSettings(home=tmp_path)
    ended, failed, gone = (f"spend-20260101-12000{number}-abcd" for number in range(3))
    for run, error in ((ended, None), (failed, "train failed: no luck\nits log"), ("spend-other", None)):
        place = settings.paths.pipelines / "runs" / run
        place.mkdir(parents=True)
        (place / "run.json").write_text(json.dumps({"error": error}))
    with turn(settings.paths.pipelines, "spend") as going, opened(settings) as ledger:
        for at, run in enumerate((ended, failed, gone, going)):
            ledger.add(
                Entry(key=run, at_s=at, action="spend", cause="labels", decision=STARTED, run=run, outcome=RUNNING)
            )
        monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))
        questline(["trigger", "log"], standalone_mode=False)

    told = [line.partition(": started ")[2] for line in capsys.readouterr().out.splitlines()]
    assert told == [
        f"{going} running",
        f"{gone} it broke off when the trigger ended",
        f"{failed} train failed: no luck",
        f"{ended} done",
    ]


def test_two_triggers_never_work_on_one_home(game: Any) -> None:
    supervisor = Supervisor(game.settings().paths, {})
    supervisor.start("trigger")
    try:
        supervisor.wait_ready("trigger")
        (supervisor.home.run / "trigger.pid").rename(supervisor.home.run / "first.pid")
        supervisor.start("trigger")
        with pytest.raises(NotReady, match="another trigger works on"):
            supervisor.wait_ready("trigger")
        (supervisor.home.run / "first.pid").rename(supervisor.home.run / "trigger.pid")
    finally:
        supervisor.stop("trigger")


def test_sigterm_ends_it_and_what_it_announced(game: Any) -> None:
    supervisor = Supervisor(game.settings().paths, {})
    supervisor.start("trigger")
    pid = supervisor.wait_ready("trigger")["pid"]

    assert supervisor.stop("trigger")

    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not (supervisor.home.run / "trigger.json").exists()
    log = (supervisor.home.logs / "trigger.log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in log] == ["trigger ready", "trigger stopped"]
