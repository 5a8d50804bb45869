"""Rolling out: the model to beat, waiting for a revision, and golden requests against what is served."""

from __future__ import annotations

import json
import math
import shutil
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from questline_core.errors import NotReady
from questline_core.models.rollout import AnswersDiffer, Golden, champion, infer, tensor, verify

GOLDEN: list[Golden] = [
    {"inputs": {"sessions": 3.0, "system": "ANDROID"}, "outputs": {"value": 152.25, "probability": 0.125}},
    {"inputs": {"sessions": None, "system": ""}, "outputs": {"value": 0.0, "probability": 0.5}},
]


class ServedModel(ThreadingHTTPServer):
    """Speaks V2 REST; answers the golden outputs, changed by what a test wants to see go wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.revision = "v2"
        self.columns = {name: [one["outputs"][name] for one in GOLDEN] for name in ("value", "probability")}
        self.asked: dict[str, Any] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ServedModel

    def do_POST(self) -> None:
        if self.path != "/v2/models/spend/infer":
            self.send_error(404, "no such model")
            return
        self.server.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        outputs = [{"name": name, "data": data} for name, data in self.server.columns.items()]
        body = json.dumps({"model_version": self.server.revision, "outputs": outputs}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[ServedModel]:
    with ServedModel() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def verified(served: ServedModel) -> int:
    return verify(GOLDEN, rest_url=served.url, name="spend", revision="v2")


def test_equal_answers_are_counted(served: ServedModel) -> None:
    assert verified(served) == 2


def test_a_golden_request_is_one_tensor_for_each_input(served: ServedModel) -> None:
    verified(served)

    sessions, system = served.asked["inputs"]
    assert (sessions["name"], sessions["datatype"], sessions["shape"]) == ("sessions", "FP32", [2])
    assert sessions["data"][0] == 3.0
    assert math.isnan(sessions["data"][1])
    assert system == {"name": "system", "datatype": "BYTES", "shape": [2], "data": ["ANDROID", ""]}


@pytest.mark.parametrize(("value", "differs"), [(152.2501, False), (152.2504, True)])
def test_a_large_number_may_differ_by_a_millionth_of_itself(served: ServedModel, value: float, differs: bool) -> None:
    served.columns["value"][0] = value

    if differs:
        with pytest.raises(AnswersDiffer, match=r"golden request 0, value is 152\.2504 and was 152\.25"):
            verified(served)
    else:
        assert verified(served) == 2


@pytest.mark.parametrize("value", [2e-6, math.nan])
def test_a_number_near_zero_may_differ_by_a_millionth(served: ServedModel, value: float) -> None:
    served.columns["value"][1] = 0.9e-6
    assert verified(served) == 2

    served.columns["value"][1] = value
    with pytest.raises(AnswersDiffer, match="golden request 1"):
        verified(served)


def test_an_answer_of_another_revision_is_no_proof(served: ServedModel) -> None:
    served.revision = "v1"

    with pytest.raises(AnswersDiffer, match="v1 answered in its place"):
        verified(served)


@pytest.mark.parametrize("break_off", [lambda columns: columns.pop("value"), lambda columns: columns["value"].pop()])
def test_an_output_that_is_missing_is_named(served: ServedModel, break_off: Any) -> None:
    break_off(served.columns)

    with pytest.raises(AnswersDiffer, match="value is missing"):
        verified(served)


def test_a_model_that_nobody_serves_is_a_sentence(served: ServedModel) -> None:
    with pytest.raises(NotReady, match="answers 404"):
        infer(served.url, "churn", [{"x": 1.0}])


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(NotReady, match="does not answer"):
        infer("http://127.0.0.1:9", "spend", [{"x": 1.0}])


def test_an_input_that_is_always_missing_is_a_number() -> None:
    assert tensor("age", [None])["datatype"] == "FP32"


def store_with(store: Path, lineages: Mapping[str, Mapping[str, Any]]) -> str:
    for version, lineage in lineages.items():
        folder = store / "spend" / version
        folder.mkdir(parents=True)
        (folder / "model.json").write_text(json.dumps({"name": "spend", "version": version, "lineage": lineage}))
    return str(store)


def test_the_champion_is_the_newest_version_that_another_training_made(tmp_path: Path) -> None:
    this = {"data_version": "b", "epochs": 20}
    store = store_with(
        tmp_path,
        {
            "v1": {"data_version": "a", "epochs": 20},
            "v2": {"data_version": "b", "epochs": 5, "rows": 9},
            "v3": this | {"rows": 9},
        },
    )

    found = champion(store, "spend", this)
    assert found is not None
    assert found.version == "v2"

    shutil.rmtree(tmp_path / "spend" / "v2")
    found = champion(store, "spend", this)
    assert found is not None
    assert found.version == "v1"


def test_the_first_training_and_its_repetition_have_no_champion(tmp_path: Path) -> None:
    this = {"data_version": "a"}

    assert champion(str(tmp_path), "spend", this) is None
    assert champion(store_with(tmp_path, {"v1": this}), "spend", this) is None
