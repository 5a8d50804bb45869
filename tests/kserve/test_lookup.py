"""The lookup behind the same protocols as a model, and the original's request; generations change while it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pyarrow as pa
import pytest
from kserve import InferResponse
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_core.lookup import signing_key
from questline_core.lookup.manifest import Manifest
from questline_core.lookup.publish import SCHEMA, Terms, publish
from questline_core.models.manifests import lookup_service, spend_service
from questline_core.settings import PlatformSettings
from questline_kserve.testing.process import ServingProcess, wait_for

pytestmark = pytest.mark.timeout(240)

_READ: Any = InferResponse  # whose method has the name of a flag

ANN = {
    "user_pseudo_id": "ann",
    "probability": 0.25,
    "source": "trees",
    "churned": 0,
    "reasons": ["country", "cnt_post_score"],
}
BOB = {"user_pseudo_id": "bob", "probability": 0.75, "source": "bounced"}


def _publish(serving: ServingProcess, folder: Path, *rows: dict[str, Any], prior: float = 0.5) -> Manifest:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)
    key = signing_key(PlatformSettings(home=serving.home))
    return publish(folder, [batch], Terms(prior=prior, threshold=0.5, lineage={}), key=key)


@pytest.fixture(scope="module")
def lookup(starting: Callable[[], ServingProcess]) -> Iterator[ServingProcess]:
    """A process that serves the lookup `churn`, whose first generation knows Ann and Bob."""
    serving = starting()
    _publish(serving, serving.home / "lookup", ANN, BOB)
    serving.host.apply(lookup_service("churn", "lookup", str(serving.home / "lookup")))
    serving.start()
    serving.wait_until_ready()
    yield serving
    assert serving.stop() == 0


def _user(serving: ServingProcess, body: Any) -> httpx.Response:
    return httpx.post(
        f"{serving.rest_url}/user",
        content=body if isinstance(body, bytes) else None,
        json=None if isinstance(body, bytes) else body,
    )


def _metrics(serving: ServingProcess) -> str:
    return httpx.get(f"{serving.rest_url}/metrics", follow_redirects=True).text


def _generation(serving: ServingProcess) -> str:
    answer: str = _user(serving, {"user_pseudo_id": "ann"}).json()["generation"]
    return answer


def test_the_revision_is_served_as_the_manifest_declares(lookup: ServingProcess) -> None:
    status = lookup.host.status("churn")

    assert (status.ready, status.revision, status.message) == (True, "lookup", "")


def test_the_originals_request_is_answered_with_its_four_texts(lookup: ServingProcess) -> None:
    response = _user(lookup, {"user_pseudo_id": "bob"})

    assert response.status_code == 200
    answer = response.json()
    assert answer | {"generation": ""} == {
        "user_pseudo_id": "bob",
        "churned": "",
        "predicted_churned": "1",
        "probability_churned": "0.75",
        "source": "bounced",
        "generation": "",
    }
    ann = _user(lookup, {"user_pseudo_id": "ann"}).json()
    assert (ann["churned"], ann["predicted_churned"], ann["probability_churned"]) == ("0", "0", "0.25")


def test_a_player_who_is_not_known_gets_the_prior_and_no_404(lookup: ServingProcess) -> None:
    response = _user(lookup, {"user_pseudo_id": "nobody"})

    assert response.status_code == 200
    assert (response.json()["probability_churned"], response.json()["source"]) == ("0.5", "unknown")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"{}", b'{"user_pseudo_id": 5}', b'{"user_pseudo_id": ""}', b'{"pseudo_user_id": "x"}']
)
def test_a_request_of_another_form_is_400_and_says_why(lookup: ServingProcess, body: bytes) -> None:
    response = _user(lookup, body)

    assert response.status_code == 400
    assert "request" in response.json()["error"]


def test_v1_answers_many_players_in_order(lookup: ServingProcess) -> None:
    answer = lookup.predict(
        {"user_pseudo_id": "bob"}, {"user_pseudo_id": "who"}, {"user_pseudo_id": "ann"}, name="churn"
    ).json()

    told = [
        (one["probability"], one["predicted_churned"], one["source"], one["reasons"]) for one in answer["predictions"]
    ]
    assert told == [
        (0.75, 1.0, "bounced", ""),
        (0.5, 1.0, "unknown", ""),
        (0.25, 0.0, "trees", "country,cnt_post_score"),
    ]
    assert answer["model_version"] == "lookup"


def test_v1_names_a_key_that_the_lookup_does_not_take(lookup: ServingProcess) -> None:
    response = lookup.predict({"user_pseudo_id": "bob", "country": "NL"}, name="churn")

    assert response.status_code == 400
    assert "unknown key 'country'; the model takes user_pseudo_id" in response.json()["error"]


def test_v2_rest_answers_numbers_and_texts(lookup: ServingProcess) -> None:
    body = {"inputs": [{"name": "user_pseudo_id", "datatype": "BYTES", "shape": [2], "data": ["ann", "nobody"]}]}

    outputs = httpx.post(f"{lookup.rest_url}/v2/models/churn/infer", json=body).json()["outputs"]

    told = {output["name"]: (output["datatype"], output["data"]) for output in outputs}
    assert told["probability"] == ("FP32", [0.25, 0.5])
    assert told["source"] == ("BYTES", ["trees", "unknown"])
    assert told["reasons"] == ("BYTES", ["country,cnt_post_score", ""])


def _ask(channel: grpc.Channel, *players: bytes, raw: bool) -> pb.ModelInferResponse:
    request = pb.ModelInferRequest(model_name="churn")
    tensor = request.inputs.add(name="user_pseudo_id", datatype="BYTES", shape=[len(players)])
    if raw:
        request.raw_input_contents.append(b"".join(len(one).to_bytes(4, "little") + one for one in players))
    else:
        tensor.contents.bytes_contents.extend(players)
    response: pb.ModelInferResponse = GRPCInferenceServiceStub(channel).ModelInfer(request)
    return response


@pytest.mark.parametrize("raw", [True, False])
def test_v2_grpc_answers_in_the_form_in_which_was_asked(lookup: ServingProcess, raw: bool) -> None:
    with grpc.insecure_channel(lookup.grpc_address) as channel:
        response = _ask(channel, b"bob", b"nobody", raw=raw)

    assert bool(response.raw_output_contents) is raw
    told = {output.name: output.as_numpy().tolist() for output in _READ.from_grpc(response).outputs}
    assert told["probability"] == [0.75, 0.5]
    assert told["source"] == [b"bounced", b"unknown"]


def _refusal(error: Any) -> tuple[Any, bool]:
    return error.code(), "UTF-8" in error.details()


def test_v2_grpc_refuses_an_id_that_is_no_text(lookup: ServingProcess) -> None:
    with grpc.insecure_channel(lookup.grpc_address) as channel, pytest.raises(grpc.RpcError) as refused:
        _ask(channel, b"\xff", raw=True)

    assert _refusal(refused.value) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_the_metadata_describes_inputs_and_outputs(lookup: ServingProcess) -> None:
    told = httpx.get(f"{lookup.rest_url}/v2/models/churn").json()

    assert (told["platform"], told["versions"]) == ("questline_lookup", ["lookup"])
    assert told["inputs"] == [{"name": "user_pseudo_id", "datatype": "BYTES", "shape": [-1]}]
    assert {one["name"]: one["datatype"] for one in told["outputs"]}["source"] == "BYTES"


def test_a_new_generation_answers_without_a_restart_and_no_request_fails_meanwhile(lookup: ServingProcess) -> None:
    failures: list[str] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                response = client.post(f"{lookup.rest_url}/user", json={"user_pseudo_id": "ann"})
                answer = response.json()
                if response.status_code != 200 or answer["source"] != "trees":
                    failures.append(response.text)

    asking = threading.Thread(target=ask)
    asking.start()
    told = _publish(lookup, lookup.home / "lookup", ANN, BOB)
    for _ in range(3):
        told = _publish(lookup, lookup.home / "lookup", ANN, BOB)
        wait_for(lambda: _generation(lookup) == told.generation, "the new generation answers")  # noqa: B023 - asked at once
    done.set()
    asking.join()

    assert failures == []
    assert f'questline_lookup_generation{{generation="{told.generation}",lookup="churn"}} 1.0' in _metrics(lookup)
    assert 'questline_lookup_age_seconds{lookup="churn"}' in _metrics(lookup)


def test_a_damaged_generation_is_refused_and_the_old_one_answers_on(lookup: ServingProcess) -> None:
    before = _generation(lookup)
    told = _publish(lookup, lookup.home / "elsewhere", BOB)
    damaged = lookup.home / "lookup" / "g000900"
    (lookup.home / "elsewhere" / told.generation).rename(damaged)
    (lookup.home / "lookup" / "CURRENT").write_text("g000900")

    wait_for(lambda: 'questline_lookup_refused{lookup="churn"} 1.0' in _metrics(lookup), "the generation is refused")

    assert _generation(lookup) == before
    following = _publish(lookup, lookup.home / "lookup", ANN, BOB)
    wait_for(lambda: _generation(lookup) == following.generation, "the one after it answers")
    assert 'questline_lookup_refused{lookup="churn"} 0.0' in _metrics(lookup)


@pytest.mark.parametrize("make", [lookup_service, spend_service])
def test_a_folder_that_holds_nothing_of_the_format_is_refused_with_its_reason(
    lookup: ServingProcess, tmp_path: Path, make: Callable[..., dict[str, Any]]
) -> None:
    lookup.host.apply(make("other", "v1", str(tmp_path)))

    assert not lookup.judged("other").ready
    assert str(tmp_path) in lookup.judged("other").message


def test_as_in_a_pod_a_folder_of_generations_is_known_by_its_content(starting: Callable[[], ServingProcess]) -> None:
    pod = starting()
    _publish(pod, pod.home / "lookup", BOB)
    pod.start("--model-dir", str(pod.home / "lookup"), "--name", "churn")
    pod.wait_until_ready()

    assert pod.predict({"user_pseudo_id": "bob"}, name="churn").json()["predictions"][0]["probability"] == 0.75
    assert pod.stop() == 0
