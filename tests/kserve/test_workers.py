"""Several serving processes behind one address: real ones, each with all models."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_core.crew import facts_of
from questline_kserve.settings import PROCESS
from questline_kserve.testing.process import ServingProcess, wait_for

PROCESSES = 2

pytestmark = pytest.mark.timeout(400)
"""Each process that starts imports TensorFlow, for a minute on a machine that has other things to do."""


@pytest.fixture(scope="module")
def crew(starting: Callable[[], ServingProcess], store: Path) -> Iterator[ServingProcess]:
    """Two processes that serve version v1."""
    serving = starting()
    serving.start(QUESTLINE_SERVING_PROCESSES=str(PROCESSES))
    serving.wait_until_ready()
    yield serving
    children = psutil.Process(serving.pid).children(recursive=True)
    assert serving.stop() == 0
    wait_for(lambda: all(ended(child.pid) for child in children), "the end of the processes")


def members(serving: ServingProcess) -> dict[int, Mapping[str, Any]]:
    return facts_of(serving.home / "run", PROCESS, PROCESSES)


def ended(pid: int) -> bool:
    """Tell whether a process runs no longer, even if nobody has asked yet how it ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def revisions(serving: ServingProcess) -> list[str]:
    """Ask each process by itself who answers."""
    answers = [
        httpx.post(f"http://{one['admin']}/v1/models/spend:predict", json={"instances": [{"events": 3}]}, timeout=30)
        for one in members(serving).values()
    ]
    return [answer.json()["model_version"] for answer in answers]


def ask_by_new_connections(serving: ServingProcess) -> None:
    """Fail if one of them has no answer."""
    assert serving.predict({"events": 3}).status_code == 200
    with grpc.insecure_channel(serving.grpc_address, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        request = pb.ModelInferRequest(model_name="spend")
        request.inputs.add(name="events", datatype="FP32", shape=[1]).contents.fp32_contents.append(3)
        assert GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=30).model_name == "spend"


def test_all_listen_at_both_ports_and_one_status_is_told_when_all_answer(crew: ServingProcess, store: Path) -> None:
    assert crew.deploy(store / "v1").ready
    assert revisions(crew) == ["v1", "v1"]

    assert crew.deploy(store / "v2").ready

    assert revisions(crew) == ["v2", "v2"]
    wait_for(lambda: crew.wait_until_ready()["models"] == {"spend": "v2"}, "the revision is announced")
    for one in members(crew).values():
        mine = [at for at in psutil.net_connections("tcp") if at.pid == one["pid"] and at.status == "LISTEN"]
        assert {crew.rest_port, crew.grpc_port} <= {at.laddr.port for at in mine if at.laddr}
    ask_by_new_connections(crew)


def test_a_version_that_is_refused_leaves_the_one_before_in_each_process(crew: ServingProcess, store: Path) -> None:
    assert crew.deploy(store / "v1").ready

    status = crew.deploy(store / "bad")

    assert (status.ready, status.revision) == (False, "v1")
    assert "golden request 0" in status.message
    assert revisions(crew) == ["v1", "v1"]


def test_the_metrics_of_all_are_behind_one_address(crew: ServingProcess, store: Path) -> None:
    assert crew.deploy(store / "v1").ready
    revisions(crew)

    lines = httpx.get(f"{crew.rest_url}/metrics", timeout=30).text.splitlines()

    took = [line for line in lines if line.startswith("request_predict_seconds_count")]
    assert [number for number in range(PROCESSES) for line in took if f'process="{number}"' in line] == [0, 1]


def test_one_that_is_killed_is_started_again_while_the_others_answer(crew: ServingProcess, store: Path) -> None:
    assert crew.deploy(store / "v1").ready
    killed = members(crew)[0]["pid"]
    psutil.Process(killed).kill()
    wait_for(lambda: members(crew).get(0, {}).get("pid") != killed, "the end of the process")

    for _ in range(20):
        ask_by_new_connections(crew)
    wait_for(lambda: set(members(crew)) == {0, 1}, "a new process")

    assert members(crew)[0]["pid"] != killed
    assert revisions(crew) == ["v1", "v1"]
    assert httpx.get(f"{crew.rest_url}/v2/health/ready", timeout=30).json() == {"ready": True}


def test_one_that_is_started_again_stays_away_while_it_cannot_load_what_the_others_answer(
    crew: ServingProcess, store: Path
) -> None:
    assert crew.deploy(store / "v1").ready
    assert not crew.deploy(store / "bad").ready
    psutil.Process(members(crew)[1]["pid"]).kill()
    wait_for(lambda: "stays away" in crew.log, "a process that stays away")

    assert set(members(crew)) == {0}
    for _ in range(20):
        ask_by_new_connections(crew)

    assert crew.deploy(store / "v2").ready
    wait_for(lambda: set(members(crew)) == {0, 1}, "the process joins")
    assert revisions(crew) == ["v2", "v2"]


def test_another_server_cannot_take_half_of_the_calls(
    crew: ServingProcess, starting: Callable[[], ServingProcess]
) -> None:
    for processes in ("1", "2"):
        other = starting()
        other.rest_port, other.grpc_port = crew.rest_port, crew.grpc_port
        other.start(QUESTLINE_SERVING_PROCESSES=processes)
        assert other.stop(signal.SIGCONT) == 1
        assert f"cannot listen on 127.0.0.1:{crew.rest_port} (address already in use)" in other.log


def test_as_in_a_pod_all_hold_one_version_and_end_with_the_one_that_leads_them(
    starting: Callable[[], ServingProcess], store: Path
) -> None:
    pod = starting()
    pod.start("--model-dir", str(store / "v1"), "--name", "spend", QUESTLINE_SERVING_PROCESSES=str(PROCESSES))
    assert pod.wait_until_ready()["models"] == {"spend": "v1"}
    assert revisions(pod) == ["v1", "v1"]
    children = [one["pid"] for one in members(pod).values()]

    pod.kill()

    wait_for(lambda: all(ended(child) for child in children), "the end of the processes")


def test_as_in_a_pod_a_version_that_one_refuses_ends_all_with_the_reason(
    starting: Callable[[], ServingProcess], store: Path
) -> None:
    pod = starting()
    pod.start("--model-dir", str(store / "v9"), "--name", "spend", QUESTLINE_SERVING_PROCESSES=str(PROCESSES))

    assert pod.stop(signal.SIGCONT) == 1

    assert "holds no whole model version" in pod.log
    assert "of the serving ended at its start" in pod.log
