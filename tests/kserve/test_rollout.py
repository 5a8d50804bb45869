"""A serving process follows its folder: swaps, refusals, withdrawals and restarts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from questline_core.models.manifests import spend_service, to_yaml
from questline_core.processes import read_ready, write_atomically
from questline_kserve.testing.process import ServingProcess, wait_for
from questline_kserve.testing.traffic import Answer, Traffic, traffic_on

SCALES = {"v1": 1.0, "v2": 2.0}


def test_swaps_under_traffic_fail_no_request_and_mix_no_answer(serving: ServingProcess, store: Path) -> None:
    serving.deploy(store / "v1")
    with traffic_on(serving) as traffic:
        for revision in ("v2", "v1") * 4:
            serving.deploy(store / revision)
            deployed = time.monotonic()
            wait_for(lambda since=deployed: len(_since(since, traffic)) > 20, "answers of the new revision")  # type: ignore[misc] # a default binds the loop's value
            assert {answer.revision for answer in _since(deployed, traffic)} == {revision}

    assert traffic.failures == []
    assert {answer.revision for answer in traffic.answers} == set(SCALES)
    mixed = [a for a in traffic.answers if (a.value, a.lower_bound) != (3 * SCALES[a.revision], SCALES[a.revision])]
    assert mixed == []


def _since(when: float, traffic: Traffic) -> list[Answer]:
    return [answer for answer in traffic.answers if answer.asked_at > when]


def _without_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def _without_weights(folder: Path) -> None:
    (folder / "saved_model" / "saved_model.pb").write_bytes(b"\0damaged")


def _with_broken_description(folder: Path) -> None:
    (folder / "model.json").write_text("{")


def _with_other_golden_answers(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    golden[0]["outputs"]["value"] += 0.1
    (folder / "golden.json").write_text(json.dumps(golden))


def _of_another_version(folder: Path) -> None:
    described = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(described | {"version": "v2"}))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without_folder, "holds no whole model version"),
        (_without_weights, "does not load"),
        (_with_broken_description, "holds no whole model version"),
        (_with_other_golden_answers, "golden request 0, value is 1003.0 and was 1003.1 in training"),
        (_of_another_version, "holds the version v2, and not v9"),
    ],
)
def test_a_broken_revision_is_refused_and_the_one_before_answers_on(
    serving: ServingProcess, store: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    serving.deploy(store / "v1")
    broken = tmp_path / "v9"
    shutil.copytree(store / "v1", broken)
    (broken / "model.json").write_text((store / "v1" / "model.json").read_text().replace('"v1"', '"v9"'))
    spoil(broken)

    status = serving.deploy(broken)

    assert (status.ready, status.wanted, status.revision) == (False, "v9", "v1")
    assert says in status.message
    assert serving.predict({"events": 3}).json()["model_version"] == "v1"


def test_a_refused_revision_is_tried_again_when_it_is_declared_again(
    serving: ServingProcess, store: Path, tmp_path: Path
) -> None:
    assert not serving.deploy(tmp_path / "v2").ready
    shutil.copytree(store / "v2", tmp_path / "v2")

    assert serving.deploy(tmp_path / "v2").ready


def test_a_withdrawn_service_is_not_found_and_can_come_back(serving: ServingProcess, store: Path) -> None:
    serving.deploy(store / "v1")
    manifest = serving.home / "serving" / "inferenceservices" / "spend.yaml"
    manifest.unlink()

    wait_for(lambda: serving.predict({}).status_code == 404, "the service is gone")
    wait_for(lambda: "spend" not in _announced(serving), "it is announced no more")
    assert serving.deploy(store / "v2").revision == "v2"
    assert serving.predict({}).json()["model_version"] == "v2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{ this: [is not", "not YAML"),
        ("- a list", "not a mapping"),
        ("kind: Pod", "apiVersion"),
        (to_yaml(spend_service("other", "v1", "/tmp/x")), "name the file other.yaml"),
        (to_yaml(spend_service("broken", "v1", "gs://bucket/x")), "gs://bucket/x"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why_and_leaves_the_others_alone(
    serving: ServingProcess, store: Path, text: str, says: str
) -> None:
    serving.deploy(store / "v1")
    write_atomically(serving.home / "serving" / "inferenceservices" / "broken.yaml", text)

    status = serving.judged("broken")

    assert not status.ready
    assert says in status.message
    assert serving.predict({}).json()["model_version"] == "v1"


def test_a_status_that_cannot_be_written_stops_neither_answers_nor_rollouts(
    serving: ServingProcess, store: Path
) -> None:
    serving.deploy(store / "v1")
    status, aside = serving.home / "serving" / "status", serving.home / "serving" / "aside"
    status.rename(aside)
    status.touch()
    serving.host.apply(spend_service("spend", "v2", str(store / "v2")))

    wait_for(lambda: serving.predict({}).json()["model_version"] == "v2", "the new revision answers")
    status.unlink()
    aside.rename(status)

    assert serving.judged().revision == "v2"
    assert "cannot write" in serving.log


def test_two_services_answer_side_by_side(serving: ServingProcess, store: Path) -> None:
    serving.deploy(store / "v1")
    serving.deploy(store / "v2", name="spend-next")

    assert serving.predict({}).json()["model_version"] == "v1"
    assert serving.predict({}, name="spend-next").json()["model_version"] == "v2"
    assert _announced(serving) == {"spend": "v1", "spend-next": "v2"}


def _announced(serving: ServingProcess) -> dict[str, str]:
    models: dict[str, str] = (read_ready(serving.home / "run", "serving") or {})["models"]
    return models
