"""The Flex Templates: their descriptions, their launcher and what Terraform passes agree."""

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from questline_beam.cloud import build
from questline_beam.flex import Backfill, Launch, asked
from questline_core.errors import BadInput

ROOT = Path(__file__).parents[2]


def described(name: str) -> Mapping[str, Any]:
    told = json.loads((ROOT / "beam/flex" / name).read_text(encoding="utf-8"))
    return {one["name"]: one for one in told["parameters"]}


PARAMETERS, OF_BACKFILL = described("metadata.json"), described("backfill.json")
GIVEN = {
    "subscription": "projects/project-1/subscriptions/events",
    "dead_letter_topic": "projects/project-1/topics/rejects",
    "warehouse_url": "bigquery:project-1/EU",
}
ASKED = {
    "days": "2026-01-02 2026-02-01..2026-02-03",
    "archive": "gs://archive/events/2026-01-*.avro gs://archive/events/2026-02-*.avro",
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


def backfill(**given: str) -> Backfill | Launch:
    return asked([*(f"--{name}={value}" for name, value in given.items()), *BEAMS])


def test_a_launch_with_days_is_a_backfill_which_reads_every_parameter_of_its_description() -> None:
    launched = backfill(**ASKED, title="chess", skip_broken="True")

    assert set(OF_BACKFILL) == {*ASKED, "title", "skip_broken"}
    assert isinstance(launched, Backfill)
    assert launched.days == [date(2026, 1, 2), *(date(2026, 2, day) for day in (1, 2, 3))]
    assert launched.archive == ["gs://archive/events/2026-01-*.avro", "gs://archive/events/2026-02-*.avro"]
    assert (launched.settings.warehouse_url, launched.settings.title) == ("bigquery:project-1/EU", "chess")
    assert (launched.skip_broken, launched.options) == (True, BEAMS)
    assert isinstance(backfill(**GIVEN), Launch)


def test_a_backfill_needs_what_its_description_does_not_call_optional() -> None:
    assert {name for name, one in OF_BACKFILL.items() if not one.get("isOptional")} == set(ASKED)
    launched = backfill(**ASKED)
    assert isinstance(launched, Backfill)
    assert not launched.skip_broken
    for name in ASKED:
        with pytest.raises(SystemExit):
            backfill(**{other: value for other, value in ASKED.items() if other != name})
    with pytest.raises(BadInput, match="'soon' is no day"):
        backfill(**ASKED | {"days": "soon"})


def test_what_is_asked_of_a_backfill_passes_the_patterns_of_its_description() -> None:
    for name, value in (ASKED | {"title": "chess", "skip_broken": "True"}).items():
        assert all(re.fullmatch(pattern, value) for pattern in OF_BACKFILL[name]["regexes"])
