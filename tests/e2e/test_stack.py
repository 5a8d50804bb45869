"""`questline up`, `status` and `down`: the stack to play with."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from questline_core.errors import BadInput, NotReady
from questline_core.processes import announced
from questline_core.settings import Home
from questline_core.stack.children import free_ports
from questline_core.stack.supervisor import Supervisor, questline_command


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, str]]:
    gateway, rest, grpc = free_ports(3)
    settings = {
        "QUESTLINE_HOME": str(tmp_path / "home"),
        "QUESTLINE_LISTEN": f"127.0.0.1:{gateway}",
        "QUESTLINE_SPEND_ADDRESS": f"127.0.0.1:{grpc}",
        "QUESTLINE_CHURN_ADDRESS": f"127.0.0.1:{grpc}",
        "QUESTLINE_SERVING_REST_PORT": str(rest),
        "QUESTLINE_SERVING_GRPC_PORT": str(grpc),
    }
    yield settings
    questline(settings, "down")


def questline(settings: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        questline_command(*arguments),
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_up_starts_the_stack_status_shows_it_and_down_ends_it(settings: dict[str, str]) -> None:
    began = questline(settings, "up")
    assert began.returncode == 0, began.stderr
    names = ("serving", "gateway", "stream", "trigger")
    told = [f"starting the {name}" for name in names] + [f"the {name} is ready" for name in names]
    assert began.stderr.splitlines() == told
    status = json.loads(questline(settings, "status", "--json").stdout)
    assert {name: facts["ready"] for name, facts in status.items()} == dict.fromkeys(names, True)

    again = questline(settings, "up")
    assert again.returncode == 0, again.stderr
    assert {n: f["pid"] for n, f in json.loads(questline(settings, "status", "--json").stdout).items()} == {
        name: facts["pid"] for name, facts in status.items()
    }

    assert "gateway, stream, serving" in questline(settings, "down").stdout
    assert questline(settings, "status").returncode == 1
    assert "nothing was running" in questline(settings, "down").stdout


def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(settings: dict[str, str]) -> None:
    import socket

    host, _, port = settings["QUESTLINE_LISTEN"].partition(":")
    with socket.create_server((host, int(port))):
        began = questline(settings, "up")

    assert began.returncode == 1
    assert port in began.stderr
    assert "Traceback" not in began.stderr
    assert "nothing was running" in questline(settings, "down").stdout


def test_a_home_that_cannot_be_written_is_one_sentence(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    began = questline(settings | {"QUESTLINE_HOME": str(tmp_path / "file/home")}, "up")

    assert began.returncode == 1
    assert "QUESTLINE_HOME" in began.stderr
    assert "Traceback" not in began.stderr


def test_a_process_that_could_not_be_found_again_is_not_left_running(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.write_text("in the way")
    others = psutil.Process().children()

    with pytest.raises(BadInput, match=r"stream\.pid .*set QUESTLINE_HOME"):
        Supervisor(home).start("stream", detached=True)

    assert psutil.Process().children() == others


# What `up` starts outlives the object that started it, of which Python warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_process_that_ends_at_its_start_is_not_explained_by_an_earlier_one(tmp_path: Path) -> None:
    supervisor = Supervisor(Home(tmp_path), {"PYTHONHOME": str(tmp_path)})  # Python itself cannot start so
    supervisor.log("stream").parent.mkdir()
    supervisor.log("stream").write_text("questline: the disk was full last week\n")

    supervisor.start("stream")
    with pytest.raises(NotReady, match="the stream ended at its start") as told:
        supervisor.wait_ready("stream")

    assert "last week" not in str(told.value)


def test_status_tells_what_can_be_known_of_processes_that_nobody_started_here(tmp_path: Path) -> None:
    settings, run = {"QUESTLINE_HOME": str(tmp_path), "COLUMNS": "200"}, Home(tmp_path).run
    with (
        announced(run, "gateway", listen="127.0.0.1:7777"),  # as in the pod of a gateway
        announced(run, "serving"),
        announced(run, "stream"),
        announced(run, "trigger"),
    ):
        for neighbour in ("stream", "trigger"):
            file = run / f"{neighbour}.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | {"host": "game-pod-7"}))
        os.utime(run / "serving.json", (0, 0))  # before this process began: another one's, whose pid came again

        told = questline(settings, "status", "--json")
        shown = questline(settings, "status").stdout.splitlines()

    states = json.loads(told.stdout)
    assert told.returncode == 1
    assert (states["gateway"]["pid"], states["gateway"]["ready"]) == (os.getpid(), True)
    assert (states["serving"]["pid"], states["serving"]["elsewhere"]) == (None, "")
    assert (states["trigger"]["pid"], states["trigger"]["elsewhere"]) == (None, "game-pod-7")
    words = [line.split()[:2] for line in shown[1:]]
    assert words == [["serving", "not"], ["gateway", "ready"], ["stream", "not"], ["trigger", "not"]]
    assert "not seen" in shown[3]
    assert "announced itself on game-pod-7" in shown[3]
