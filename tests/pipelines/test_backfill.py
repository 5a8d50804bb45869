"""The backfill's pipeline: what it asks of Dataflow, and the days that its own step makes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import fastavro
import pytest
import yaml
from google.protobuf.json_format import ParseDict
from google_cloud_pipeline_components.container.preview.dataflow.flex_template import launcher, remote_runner
from google_cloud_pipeline_components.container.v1.gcp_launcher.utils import json_util
from kfp.local.executor_input_utils import construct_executor_input, executor_input_to_dict
from kfp.local.placeholder_utils import replace_placeholders
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec

from questline_beam.flex import Backfill, asked
from questline_components.backfill.ask import ask
from questline_components.image import IMAGE
from questline_core.errors import BadInput
from questline_core.events.checks import complete
from questline_core.events.content import content_hash
from questline_core.events.rows import to_table
from questline_core.pb.telemetry_pb2 import Event
from questline_core.testing.event_tables import MONDAY, an_event
from questline_core.warehouse.port import open_warehouse
from questline_pipelines.catalogue import function_of
from questline_pipelines.cluster.commands import _arguments
from questline_pipelines.cluster.fitted import compile_fitted
from questline_pipelines.compiled import compile_pipeline
from questline_pipelines.events import State, StepEvent
from questline_pipelines.request import Request
from questline_pipelines.settings import PipelineSettings

Spec = dict[str, Any]
GIVEN = {
    "warehouse": "bigquery:game/EU",
    "days": "2026-01-02 2026-02-01..2026-02-03",
    "archive": "gs://archive/2026-01-*.avro gs://archive/2026-02-*.avro",
    "title": "quest",
    "skip_broken": True,
    "template": "gs://templates/questline-backfill.json",
    "project": "game",
    "region": "europe-west1",
    "temp": "gs://scratch/backfill",
    "account": "backfill@game.iam.gserviceaccount.com",
    "subnetwork": "regions/europe-west1/subnetworks/private",
    "machine_type": "n2d-highmem-8",
}
ASK, LAUNCH, WAIT, STEP = "ask", "dataflow-flex-template", "wait-gcp-resources", "remake"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Spec:
    target = tmp_path_factory.mktemp("compiled") / "backfill.yaml"
    compile_pipeline("backfill", target)
    compiled: Spec = yaml.safe_load(target.read_text())
    return compiled


def branch_of(spec: Spec, task: str) -> tuple[str, Spec]:
    """The condition under which a task runs, and the tasks that run with it."""
    (branches,) = spec["root"]["dag"]["tasks"].values()
    for one in spec["components"][branches["componentRef"]["name"]]["dag"]["tasks"].values():
        tasks: Spec = spec["components"][one["componentRef"]["name"]]["dag"]["tasks"]
        if task in tasks:
            return one["triggerPolicy"]["condition"], tasks
    raise LookupError(task)


def asked_of_google(spec: Spec, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """The command line of Google's launcher, and the request that it would send, both made by their own code."""
    _, tasks = branch_of(spec, LAUNCH)
    component = ParseDict(spec["components"][f"comp-{LAUNCH}"], ComponentSpec())
    arguments = dict[str, Any]()
    for name, source in tasks[LAUNCH]["inputs"]["parameters"].items():
        if from_pipeline := source.get("componentInputParameter", "").removeprefix("pipelinechannel--"):
            arguments[name] = given[from_pipeline]
        elif "taskOutputParameter" in source:
            assert source["taskOutputParameter"]["producerTask"] == ASK
            takes = (one.removeprefix("pipelinechannel--") for one in tasks[ASK]["inputs"]["parameters"])
            arguments[name] = ask.python_func(**{one: given[one] for one in takes})
        else:
            arguments[name] = source["runtimeValue"]["constant"]
    made = construct_executor_input(component, arguments, "/root", block_input_artifact=True)
    command = replace_placeholders(
        spec["deploymentSpec"]["executors"][f"exec-{LAUNCH}"]["container"]["args"],
        executor_input_to_dict(made, component),
        *("run", "task", "/root", "1"),
    )
    parsed = launcher._parse_args(command)
    labelled = remote_runner.insert_system_labels_into_payload(parsed["payload"])
    return parsed, json_util.recursive_remove_empty(json.loads(labelled))["launch_parameter"]


def test_with_a_template_dataflow_is_launched_and_waited_for_and_without_one_a_step_does_it(spec: Spec) -> None:
    launches, tasks = branch_of(spec, LAUNCH)
    steps, others = branch_of(spec, STEP)

    assert launches == "inputs.parameter_values['pipelinechannel--template'] != ''"
    assert steps == f"!({launches})"
    assert set(tasks) == {ASK, LAUNCH, WAIT}
    assert tasks[WAIT]["inputs"]["parameters"]["gcp_resources"] == {
        "taskOutputParameter": {"outputParameterKey": "gcp_resources", "producerTask": LAUNCH}
    }
    assert set(others) == {STEP}
    assert not any(task["cachingOptions"].get("enableCache") for task in (tasks | others).values())


def test_the_request_to_dataflow_holds_all_that_the_pipeline_was_told_and_its_job_understands_it(spec: Spec) -> None:
    command, request = asked_of_google(spec, GIVEN)

    assert (command["type"], command["project"], command["location"]) == ("DataflowJob", "game", "europe-west1")
    assert request["container_spec_gcs_path"] == GIVEN["template"]
    environment = request["environment"]
    assert {name: environment[name] for name in environment if "label" not in name} == {
        "temp_location": "gs://scratch/backfill",
        "staging_location": "gs://scratch/backfill",
        "service_account_email": "backfill@game.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west1/subnetworks/private",
        "ip_configuration": "WORKER_IP_PRIVATE",
        "machine_type": "n2d-highmem-8",
    }
    job = asked([f"--{name}={value}" for name, value in request["parameters"].items()])
    assert isinstance(job, Backfill)
    assert job.days == [date(2026, 1, 2), *(date(2026, 2, day) for day in (1, 2, 3))]
    assert job.archive == str(GIVEN["archive"]).split()
    assert (job.settings.warehouse_url, job.settings.title) == ("bigquery:game/EU", "quest")
    assert job.skip_broken
    assert not job.options
    assert asked_of_google(spec, GIVEN | {"title": "", "skip_broken": False})[1]["parameters"] == {
        "days": GIVEN["days"],
        "archive": GIVEN["archive"],
        "warehouse_url": "bigquery:game/EU",
        "skip_broken": "false",
    }


def test_on_a_cluster_googles_components_keep_their_image_and_our_step_has_ours(tmp_path: Path) -> None:
    compile_fitted("backfill", tmp_path / "backfill.yaml", PipelineSettings(kfp_image="images.example.com/game:1"))
    fitted = next(yaml.safe_load_all((tmp_path / "backfill.yaml").read_text()))

    images = {name: one["container"]["image"] for name, one in fitted["deploymentSpec"]["executors"].items()}
    assert images["exec-remake"] == images["exec-note-run"] == "images.example.com/game:1"
    assert images[f"exec-{LAUNCH}"] == images[f"exec-{WAIT}"]
    assert images[f"exec-{LAUNCH}"].endswith("/google-cloud-pipeline-components:2.22.0")


def test_the_plain_form_names_our_image(spec: Spec) -> None:
    assert spec["deploymentSpec"]["executors"]["exec-remake"]["container"]["image"] == IMAGE


def test_what_a_person_says_is_told_to_the_run(tmp_path: Path) -> None:
    settings = PipelineSettings(home=tmp_path, title="quest")

    told = _arguments("backfill", settings, ["days=2026-01-02", "archive=gs://a/*.avro", "skip_broken=true"])

    assert (told["days"], told["archive"], told["skip_broken"]) == ("2026-01-02", "gs://a/*.avro", True)
    assert (told["warehouse"], told["title"], told["template"]) == (settings.warehouse_url, "quest", "")
    assert set(told) == set(GIVEN)
    with pytest.raises(BadInput, match="no parameter 'day' to choose"):
        _arguments("backfill", settings, ["day=2026-01-02"])


def run_here(folder: Path, **given: Any) -> dict[str, StepEvent]:
    """Run the pipeline by kfp.local in a process of its own, and give the last event of each step."""
    folder.mkdir(exist_ok=True)
    request = Request(
        function=function_of("backfill"),
        parameters=given,
        log=folder / "log.txt",
        outputs=folder / "outputs",
        cache=folder / "cache",
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "questline_pipelines.local"],
        input=request.to_line(),
        env={**os.environ, "QUESTLINE_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return {event.name: event for event in map(StepEvent.from_line, ran.stdout.splitlines())}


def test_on_this_machine_the_step_makes_the_days_and_again_the_same(tmp_path: Path) -> None:
    events = [an_event(f"p{number}", MONDAY + number) for number in range(30)]
    an_archive(tmp_path / "a.avro", events)
    for event in events:
        complete(event, title="quest", received_time=event.event_timestamp)
    day, archive = "2025-11-03", str(tmp_path / "*.avro")
    given = {"warehouse": f"duckdb:{tmp_path / 'warehouse'}", "days": day, "archive": archive, "title": "quest"}

    first, second = (run_here(tmp_path / "runs", **given) for _ in range(2))

    assert {name: event.state for name, event in first.items()} == {
        STEP: State.DONE,
        ASK: State.SKIPPED,
        LAUNCH: State.SKIPPED,
        WAIT: State.SKIPPED,
    }
    told = [one[STEP].outputs["remade"]["metadata"][day] for one in (first, second)]
    expected = content_hash(to_table(Event, events))
    assert [(one["before"], one["rows"], one["content"]) for one in told] == [(0, 30, expected), (30, 30, expected)]
    with closing(open_warehouse(given["warehouse"])) as warehouse:
        assert content_hash(warehouse.query("SELECT * FROM telemetry.events")) == expected

    failed = run_here(tmp_path / "runs", **given | {"days": "yesterday"})[STEP]
    assert (failed.state, failed.error) == (State.FAILED, "'yesterday' is no day; write YYYY-MM-DD, or FIRST..LAST")


def an_archive(path: Path, events: list[Event]) -> None:
    schema = {"type": "record", "name": "message", "fields": [{"name": "data", "type": "bytes"}]}
    with path.open("wb") as file:
        fastavro.writer(file, schema, [{"data": event.SerializeToString()} for event in events])
