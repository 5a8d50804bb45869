"""The Flex Template: its description, its launcher and what Terraform passes agree."""

import json
import re
from pathlib import Path

import pytest

from questline_beam.cloud import build
from questline_beam.flex import Launch
from questline_core.errors import BadInput

ROOT = Path(__file__).parents[2]
PARAMETERS = {
    one["name"]: one for one in json.loads((ROOT / "beam/flex/metadata.json").read_text(encoding="utf-8"))["parameters"]
}
GIVEN = {
    "subscription": "projects/project-1/subscriptions/events",
    "dead_letter_topic": "projects/project-1/topics/rejects",
    "warehouse_url": "bigquery:project-1/EU",
}
BEAMS = ["--runner=DirectRunner", "--project=p", "--streaming_mode=at_least_once", "--sub_network=x"]


def launch(**given: str) -> Launch:
    return Launch.from_arguments([*(f"--{name}={value}" for name, value in given.items()), *BEAMS])


def test_the_launcher_reads_every_parameter_of_the_description_and_leaves_beam_its_own() -> None:
    launched = launch(**GIVEN, title="chess")

    assert set(PARAMETERS) == {*GIVEN, "title"}
    assert launched.subscription == GIVEN["subscription"]
    assert launched.dead_letters == "pubsub:project-1/rejects"
    assert (launched.settings.warehouse_url, launched.settings.title) == ("bigquery:project-1/EU", "chess")
    assert launched.options == BEAMS


def test_parameters_that_the_description_calls_optional_may_be_missing_and_no_others() -> None:
    optional = {name for name, one in PARAMETERS.items() if one.get("isOptional")}
    needed = {name: value for name, value in GIVEN.items() if name not in optional}

    assert launch(**needed).dead_letters == ""
    for name in needed:
        with pytest.raises(SystemExit):
            launch(**{other: value for other, value in needed.items() if other != name})


def test_what_is_given_here_passes_the_patterns_of_the_description() -> None:
    for name, value in GIVEN.items():
        assert all(re.fullmatch(pattern, value) for pattern in PARAMETERS[name]["regexes"])


def test_terraform_passes_parameters_of_the_description() -> None:
    module = (ROOT / "terraform/modules/streaming/main.tf").read_text(encoding="utf-8")
    block = re.search(r"parameters = \{(.*?)\}", module, re.DOTALL)
    assert block
    passed = set(re.findall(r"(\w+)\s*=", block[1]))

    assert {name for name, one in PARAMETERS.items() if not one.get("isOptional")} <= passed <= set(PARAMETERS)


def test_a_topic_of_another_form_is_refused() -> None:
    with pytest.raises(BadInput, match="projects/PROJECT/topics/NAME"):
        launch(**GIVEN | {"dead_letter_topic": "rejects"})


def test_the_job_that_is_launched_can_be_put_together() -> None:
    launched = launch(**GIVEN)

    job = build(launched.settings, subscription=launched.subscription, dead_letters=launched.dead_letters, options=[])

    assert any("Read" in name for name in job.applied_labels)
