"""The three protocols of one serving process, asked from outside."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferenceGRPCClient, InferInput, InferRequest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from questline_kserve.testing.process import ServingProcess
from questline_kserve.testing.versions import INPUTS, OUTPUTS

NL = {"events": 3.0, "country": "NL"}
"""Version v1 answers 1003 to this."""
ORIGINAL = {
    "event_name": "level_up",
    "event_date": "2018-10-03",
    "event_timestamp": "1538524800000000",
    "event_previous_timestamp": "1538524700000000",
    "event_bundle_sequence_id": "9",
    "event_server_timestamp_offset": "100",
    "user_pseudo_id": "0E7609CA977178EC4C6F0191922FC45A",
    "user_first_touch_timestamp": "1538438400000000",
    "operating_system": "ANDROID",
    "language": "en-us",
    "country": "NL",
}
"""The original's request: all of its eleven fields, all as texts."""


@pytest.fixture(scope="module", autouse=True)
def _v1_answers(serving: ServingProcess, store: Path) -> None:
    assert serving.deploy(store / "v1").ready


def _infer(serving: ServingProcess, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(f"{serving.rest_url}/v2/models/spend/infer", json=body, headers=headers, timeout=30)


def _tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def _error(response: httpx.Response) -> str:
    assert response.status_code == 400, response.text
    text: str = response.json()["error"]
    return text


def test_v1_answers_the_models_own_inputs_and_names_the_revision(serving: ServingProcess) -> None:
    response = serving.predict(NL, {"events": None, "country": None}, {})

    assert response.status_code == 200
    nothing_known = {"value": 0.0, "lower_bound": 1.0, "upper_bound": 2.0, "probability": 0.25}
    assert response.json() == {
        "predictions": [nothing_known | {"value": 1003.0}, nothing_known, nothing_known],
        "model_version": "v1",
    }


def test_v1_answers_the_originals_eleven_fields_with_value_and_bounds(serving: ServingProcess) -> None:
    prediction = serving.predict(ORIGINAL).json()["predictions"][0]

    assert {name: prediction[name] for name in ("value", "lower_bound", "upper_bound")} == {
        "value": 1000.0,  # by the country; the number of events is not known
        "lower_bound": 1.0,
        "upper_bound": 2.0,
    }


def test_v1_reads_json_whatever_content_type_it_is_sent_with(serving: ServingProcess) -> None:
    for content_type in ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded"):
        response = httpx.post(
            f"{serving.rest_url}/v1/models/spend:predict",
            content=b'{"instances": [{"events": 5}]}',
            headers={"content-type": content_type},
        )
        assert response.json()["predictions"][0]["value"] == 5.0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "Unrecognized request format"),
        (b"[]", "instances"),
        (b'{"instances": []}', "at least one instance"),
        (b'{"instances": {"events": 1}}', "instances"),
        (b'{"instances": [1]}', "instances[0] must be a mapping"),
        (b'{"instances": [{"events": 1}, {"colour": "red"}]}', "instances[1] has the unknown key 'colour'"),
        (b'{"instances": [{"events": "many"}]}', "'events' in instances: 'many' is not a number"),
        (b'{"instances": [{"country": 31}]}', "'country' in instances: 31 is not a text"),
        (b'{"instances": [{"event_name": "level_up", "event_timestamp": "noon"}]}', "instances[0]: event_timestamp"),
    ],
)
def test_v1_says_what_is_wrong_with_a_request(serving: ServingProcess, body: bytes, says: str) -> None:
    response = httpx.post(
        f"{serving.rest_url}/v1/models/spend:predict", content=body, headers={"content-type": "application/json"}
    )

    assert says in _error(response)
    assert "Traceback" not in response.text


def test_v2_rest_answers_tensors_by_name_and_names_the_revision(serving: ServingProcess) -> None:
    inputs = [_tensor("events", "FP32", [3.0, None], [2, 1]), _tensor("country", "BYTES", ["NL", "BE"])]

    answer = _infer(serving, {"id": "one", "inputs": inputs}).json()

    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("one", "spend", "v1")
    assert {output["name"]: output["data"] for output in answer["outputs"]} == {
        "value": [1003.0, 0.0],
        "lower_bound": [1.0, 1.0],
        "upper_bound": [2.0, 2.0],
        "probability": [0.25, 0.25],
    }
    assert all(output["shape"] == [2] and output["datatype"] == "FP32" for output in answer["outputs"])


def test_v2_rest_takes_every_datatype_of_a_number(serving: ServingProcess) -> None:
    for datatype in ("FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"):
        answer = _infer(serving, {"inputs": [_tensor("events", datatype, [1])]}).json()
        assert answer["outputs"][0] == {"name": "value", "shape": [1], "datatype": "FP32", "data": [1.0]} | {
            "parameters": None
        }, datatype


def test_v2_rest_gives_only_the_outputs_that_are_asked_for(serving: ServingProcess) -> None:
    request = {"inputs": [_tensor("events", "FP32", [1.0])], "outputs": [{"name": "probability"}]}

    assert [output["name"] for output in _infer(serving, request).json()["outputs"]] == ["probability"]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([], "no rows"),
        ([_tensor("events", "FP32", [])], "no rows"),
        ([_tensor("colour", "BYTES", ["red"])], "input 'colour' is unknown"),
        ([_tensor("events", "BYTES", ["3"])], "input 'events' is BYTES, but the model takes FP32"),
        ([_tensor("country", "FP32", [3])], "input 'country' is FP32, but the model takes BYTES"),
        ([_tensor("events", "FP32", [1, 2], [1, 2])], "input 'events' has the shape [1, 2]"),
        ([_tensor("events", "FP32", [1, 2], [3])], "input 'events' does not hold [3] of FP32"),
        ([_tensor("events", "FP32", ["many"])], "input 'events' does not hold [1] of FP32"),
        ([_tensor("events", "FP32", [1]), _tensor("country", "BYTES", ["NL", "BE"])], "the same number of rows"),
        ([_tensor("events", "FP32", [1]), _tensor("events", "FP32", [2])], "input 'events' is given twice"),
        ([_tensor("events", "FLOAT", [1])], "input 'events' is FLOAT"),
        ([{"name": "events", "datatype": "FP32", "shape": [1], "data": 7}], "inputs.0.data"),
        ("events", "inputs"),
    ],
)
def test_v2_rest_names_the_input_that_it_cannot_take(serving: ServingProcess, inputs: Any, says: str) -> None:
    response = _infer(serving, {"inputs": inputs})

    assert says in _error(response)
    assert "Traceback" not in response.text


def test_v2_rest_refuses_a_damaged_binary_request(serving: ServingProcess) -> None:
    url = f"{serving.rest_url}/v2/models/spend/infer"
    for header in ("9999", "x", "2"):
        headers = {"content-type": "application/octet-stream", "inference-header-content-length": header}
        response = httpx.post(url, content=b'{"inputs":[{"nom":1}]}', headers=headers)
        assert response.status_code == 400, response.text


def test_an_output_that_the_model_has_not_is_refused(serving: ServingProcess) -> None:
    request = {"inputs": [_tensor("events", "FP32", [1.0])], "outputs": [{"name": "churn"}]}

    assert "output 'churn' is unknown" in _error(_infer(serving, request))


def test_a_model_that_nobody_declared_is_not_found(serving: ServingProcess) -> None:
    for path in ("/v1/models/churn", "/v2/models/churn", "/v2/models/churn/ready"):
        assert httpx.get(serving.rest_url + path).status_code == 404
    assert serving.predict({}, name="churn").status_code == 404


def test_the_metadata_tells_inputs_outputs_and_the_revision(serving: ServingProcess) -> None:
    told = httpx.get(f"{serving.rest_url}/v2/models/spend").json()

    assert told["versions"] == ["v1"]
    assert {tensor["name"]: tensor["datatype"] for tensor in told["inputs"]} == INPUTS
    assert {tensor["name"]: tensor["datatype"] for tensor in told["outputs"]} == OUTPUTS


def test_clients_can_neither_load_nor_unload_a_model(serving: ServingProcess) -> None:
    for verb in ("load", "unload"):
        response = httpx.post(f"{serving.rest_url}/v2/repository/models/spend/{verb}")
        assert "declared by its InferenceService" in _error(response)
    assert serving.predict(NL).status_code == 200


def test_health_and_metrics_are_there_for_a_cluster(serving: ServingProcess) -> None:
    assert httpx.get(f"{serving.rest_url}/v2/health/ready").json() == {"ready": True}
    assert httpx.get(f"{serving.rest_url}/v2/health/live").json() == {"live": True}
    assert 'request_predict_seconds_count{model_name="spend"}' in httpx.get(f"{serving.rest_url}/metrics").text


@pytest.fixture
async def stub(serving: ServingProcess) -> AsyncIterator[GRPCInferenceServiceStub]:
    async with grpc.aio.insecure_channel(serving.grpc_address) as channel:
        yield GRPCInferenceServiceStub(channel)


async def test_kserves_own_client_gets_the_same_answer_by_grpc(serving: ServingProcess) -> None:
    events, country = InferInput("events", [2], "FP32"), InferInput("country", [2], "BYTES")
    events.set_data_from_numpy(np.array([3, math.nan], np.float32))
    country.set_data_from_numpy(np.array([b"NL", b"BE"], object))
    client = InferenceGRPCClient(serving.grpc_address)

    assert await client.is_server_ready()
    assert await client.is_model_ready("spend")
    response = await client.infer(InferRequest("spend", [events, country], request_id="one"))
    await client.close()

    assert (response.id, response.model_version) == ("one", "v1")
    assert {output.name: output.as_numpy().tolist() for output in response.outputs} == {
        "value": [1003.0, 0.0],
        "lower_bound": [1.0, 1.0],
        "upper_bound": [2.0, 2.0],
        "probability": [0.25, 0.25],
    }


async def test_grpc_answers_typed_contents_with_typed_contents(stub: GRPCInferenceServiceStub) -> None:
    request = pb.ModelInferRequest(model_name="spend")
    request.inputs.add(name="events", datatype="INT64", shape=[2]).contents.int64_contents.extend([3, 4])
    request.outputs.add(name="value")

    response = await stub.ModelInfer(request)

    assert list(response.outputs[0].contents.fp32_contents) == [3.0, 4.0]
    assert not response.raw_output_contents
    assert response.model_version == "v1"


async def test_a_large_batch_is_answered_row_by_row(stub: GRPCInferenceServiceStub) -> None:
    rows = np.arange(20_000, dtype=np.float32)
    request = pb.ModelInferRequest(model_name="spend", raw_input_contents=[rows.tobytes()])
    request.inputs.add(name="events", datatype="FP32", shape=[len(rows)])
    request.outputs.add(name="value")

    response = await stub.ModelInfer(request)

    assert (np.frombuffer(response.raw_output_contents[0], np.float32) == rows).all()


@pytest.mark.parametrize(
    ("tensor", "raw", "says"),
    [
        ({"name": "colour", "datatype": "FP32", "shape": [1]}, b"\0\0\0\0", "input 'colour' is unknown"),
        ({"name": "events", "datatype": "BYTES", "shape": [1]}, b"\1\0\0\0x", "input 'events' is BYTES"),
        ({"name": "events", "datatype": "FP32", "shape": [2]}, b"\0\0\0\0", "input 'events' does not hold [2]"),
        ({"name": "events", "datatype": "FP32", "shape": [1]}, b"\0\0\0", "input 'events' does not hold [1]"),
        ({"name": "country", "datatype": "BYTES", "shape": [1]}, b"\xff\xff\xff\xffx", "input 'country' does not"),
        ({"name": "events", "datatype": "FP32", "shape": [-1]}, b"\0\0\0\0", "has the shape [-1]"),
    ],
)
async def test_grpc_names_the_input_that_it_cannot_take(
    stub: GRPCInferenceServiceStub, tensor: dict[str, Any], raw: bytes, says: str
) -> None:
    request = pb.ModelInferRequest(model_name="spend", raw_input_contents=[raw])
    request.inputs.add(**tensor)

    with pytest.raises(grpc.aio.AioRpcError, check=lambda error: says in (error.details() or "")) as caught:
        await stub.ModelInfer(request)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_grpc_finds_neither_an_unknown_model_nor_another_revision(stub: GRPCInferenceServiceStub) -> None:
    rows = [np.zeros(1, np.float32).tobytes()]
    for name, version in (("churn", ""), ("spend", "v9")):
        request = pb.ModelInferRequest(model_name=name, model_version=version, raw_input_contents=rows)
        request.inputs.add(name="events", datatype="FP32", shape=[1])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ModelInfer(request)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_requests_leave_no_line_in_the_log(serving: ServingProcess) -> None:
    before = serving.log
    for _ in range(3):
        serving.predict(NL)
        serving.predict({"colour": "red"})

    assert serving.log == before
