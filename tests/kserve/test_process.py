"""How the serving process starts, refuses to start, and ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest

from questline_core.models.manifests import spend_service
from questline_kserve.testing.process import ServingProcess, wait_for
from questline_kserve.testing.traffic import traffic_on

pytestmark = pytest.mark.timeout(240)
"""Two processes that start at once import TensorFlow for a minute on a machine that has other things to do."""


def _run(serving: ServingProcess, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {
        "QUESTLINE_HOME": str(serving.home),
        "QUESTLINE_SERVING_REST_PORT": str(serving.rest_port),
        "QUESTLINE_SERVING_GRPC_PORT": str(serving.grpc_port),
    }
    command = [str(Path(sys.executable).with_name("questline")), "serving", "run", *arguments]
    return subprocess.run(
        command, env=os.environ | settings | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("setting", ["QUESTLINE_SERVING_REST_PORT", "QUESTLINE_SERVING_GRPC_PORT"])
def test_a_port_in_use_is_one_sentence_that_names_the_port_and_its_setting(
    new_serving: Callable[[], ServingProcess], setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run(new_serving(), **{setting: str(port)})

    assert ended.returncode == 1
    assert ended.stderr == (
        f"questline: cannot listen on 127.0.0.1:{port} (address already in use); free it, or set {setting} to another port\n"
    )


def test_settings_that_cannot_be_used_are_named(new_serving: Callable[[], ServingProcess]) -> None:
    ended = _run(new_serving(), QUESTLINE_SERVING_REST_PORT="many", QUESTLINE_SERVING_GRPC_PORT="0")

    assert ended.returncode == 1
    assert "QUESTLINE_SERVING_REST_PORT" in ended.stderr
    assert "QUESTLINE_SERVING_GRPC_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_home_that_cannot_be_written_is_one_sentence(new_serving: Callable[[], ServingProcess]) -> None:
    serving = new_serving()
    (serving.home / "file").touch()

    ended = _run(serving, QUESTLINE_HOME=str(serving.home / "file"))

    assert ended.returncode == 1
    assert "QUESTLINE_HOME" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_without_a_name_is_refused(new_serving: Callable[[], ServingProcess]) -> None:
    ended = _run(new_serving(), "--model-dir", "/tmp")

    assert ended.returncode == 1
    assert "--model-dir and --name belong together" in ended.stderr


@pytest.fixture(scope="module")
def pod_and_restarted(starting: Callable[[], ServingProcess], store: Path) -> tuple[ServingProcess, ServingProcess]:
    """Two processes that start side by side: one as in a pod, and one with a service declared before its start."""
    pod, restarted = starting(), starting()
    restarted.host.apply(spend_service("spend", "v2", str(store / "v2")))
    assert "no serving process obeys" in restarted.host.status("spend").message
    restarted.start()
    pod.start("--model-dir", str(store / "v2"), "--name", "spend")
    return pod, restarted


def test_as_in_a_pod_one_folder_is_served_under_one_name(
    pod_and_restarted: tuple[ServingProcess, ServingProcess],
) -> None:
    pod, _ = pod_and_restarted

    assert pod.wait_until_ready()["models"] == {"spend": "v2"}
    assert pod.predict({"events": 3}).json()["predictions"][0]["value"] == 6.0
    assert pod.stop() == 0
    (line,) = pod.log.splitlines()
    assert {"event": "serving ready", "process": "serving", "models": {"spend": "v2"}}.items() <= json.loads(
        line
    ).items()


def test_a_process_serves_what_was_declared_before_its_start_once_it_says_that_it_is_ready(
    pod_and_restarted: tuple[ServingProcess, ServingProcess],
) -> None:
    _, restarted = pod_and_restarted

    assert restarted.wait_until_ready() == {
        "pid": restarted.pid,
        "rest_url": restarted.rest_url,
        "grpc_address": restarted.grpc_address,
        "models": {"spend": "v2"},
    }
    assert restarted.predict({}).json()["model_version"] == "v2"


def test_a_process_that_is_told_to_end_does_so_under_traffic_and_leaves_nothing_behind(
    pod_and_restarted: tuple[ServingProcess, ServingProcess],
) -> None:
    _, restarted = pod_and_restarted
    restarted.wait_until_ready()
    with traffic_on(restarted) as traffic:
        wait_for(lambda: len(traffic.answers) > 10, "traffic")
        assert restarted.stop(signal.SIGINT) == 0

    assert [failure for failure in traffic.failures if not _is_a_closed_door(failure)] == []
    assert not (restarted.home / "run" / "serving.json").exists()
    assert "no serving process obeys" in restarted.host.status("spend").message


def _is_a_closed_door(failure: Exception) -> bool:
    if isinstance(failure, grpc.RpcError):  # gRPC cancels a call that arrives while its server closes
        return failure.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    return isinstance(failure, httpx.TransportError)


def test_as_in_a_pod_a_version_that_does_not_load_ends_the_process_with_its_reason(
    new_serving: Callable[[], ServingProcess], tmp_path: Path
) -> None:
    ended = _run(new_serving(), "--model-dir", str(tmp_path / "v1"), "--name", "spend")

    assert ended.returncode == 1
    assert "holds no whole model version" in ended.stderr
    assert "Traceback" not in ended.stderr
