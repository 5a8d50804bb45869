"""What a run is told of the world: the version of the data, and the model to beat."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from questline_components.code import code_version
from questline_core.errors import NotReady
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import EVENTS, open_warehouse
from questline_pipelines.commands import pipelines
from questline_pipelines.now import spend_parameters

TRAINING = {"horizon_hours": 24, "holdout_days": 7, "epochs": 20, "seed": 1}


@pytest.fixture
def settings(tmp_path: Path) -> PlatformSettings:
    return PlatformSettings(home=tmp_path)


def append(settings: PlatformSettings, *ids: str) -> None:
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(EVENTS, pa.schema({"event_id": pa.string()}))
        warehouse.append(EVENTS, pa.table({"event_id": list(ids)}), key="event_id")


def publish(settings: PlatformSettings, version: str, **lineage: object) -> None:
    folder = settings.paths.models / "spend" / version
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"name": "spend", "version": version, "lineage": lineage}))


def test_a_run_is_told_where_everything_is_and_what_a_person_chose(settings: PlatformSettings) -> None:
    append(settings, "a")

    given = spend_parameters(settings, TRAINING)

    assert given.items() >= TRAINING.items()
    assert (given["warehouse"], given["model_store"], given["model_host"], given["champion"]) == (
        settings.warehouse_url,
        settings.model_store_url,
        settings.model_host_url,
        "",
    )


def test_a_larger_budget_tries_more_settings_and_has_the_model_of_a_smaller_one_to_beat(
    settings: PlatformSettings,
) -> None:
    append(settings, "a")
    first = spend_parameters(settings, TRAINING)
    publish(settings, "v1", **TRAINING, tried=1, data_version=first["data_version"], code_version=code_version())

    larger = spend_parameters(settings, TRAINING | {"budget": 3})

    assert (len(first["settings"]), len(larger["settings"])) == (1, 3)
    assert larger["champion"] == str(settings.paths.models / "spend" / "v1")


def test_only_new_events_are_another_version_of_the_data(settings: PlatformSettings) -> None:
    append(settings, "a")
    before = spend_parameters(settings, TRAINING)["data_version"]

    append(settings, "a")
    assert spend_parameters(settings, TRAINING)["data_version"] == before

    append(settings, "b")
    assert spend_parameters(settings, TRAINING)["data_version"] != before


def test_a_model_of_older_events_is_the_one_to_beat_and_the_result_of_the_same_training_is_not(
    settings: PlatformSettings,
) -> None:
    append(settings, "a")
    first = spend_parameters(settings, TRAINING)
    publish(settings, "v1", **TRAINING, tried=1, data_version=first["data_version"], code_version=code_version())
    assert spend_parameters(settings, TRAINING) == first

    append(settings, "b")
    assert spend_parameters(settings, TRAINING)["champion"] == str(settings.paths.models / "spend" / "v1")


def test_without_events_a_run_says_how_to_get_some(settings: PlatformSettings) -> None:
    with pytest.raises(NotReady, match=r"no events to train on in duckdb:.*questline simulate"):
        spend_parameters(settings, TRAINING)


def test_the_command_ends_with_that_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))

    outcome = CliRunner().invoke(pipelines, ["run", "spend"])

    assert isinstance(outcome.exception, NotReady)
    assert not (tmp_path / "pipelines" / "runs").exists()


@pytest.mark.parametrize(
    "option",
    [
        ["--epochs", "0"],
        ["--holdout-days", "many"],
        ["--horizon-hours", "-1"],
        ["--override", "just do it"],
        ["--override", "Ana: "],
    ],
)
def test_an_option_that_means_nothing_is_refused_before_anything_starts(option: list[str]) -> None:
    outcome = CliRunner().invoke(pipelines, ["run", "spend", *option])

    assert outcome.exit_code == 2
    assert option[0] in outcome.output
