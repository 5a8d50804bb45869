"""The spend model's steps one after the other, as functions: from events to a published version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kfp import dsl

from questline_components.rollout.deploy import deploy
from questline_components.rollout.export import export
from questline_components.spend.evaluate import evaluate
from questline_components.spend.gate import gate
from questline_components.spend.pick import pick
from questline_components.spend.prepare import prepare
from questline_components.spend.train import train
from questline_core.errors import NotReady
from questline_core.events.checks import complete
from questline_core.events.rows import to_table
from questline_core.models.store import digest, load
from questline_core.pb.telemetry_pb2 import Device, Event, Param, ParamValue
from questline_core.warehouse.port import EVENTS, open_warehouse

pytestmark = pytest.mark.timeout(600)  # the fixtures train

HOUR = 3_600_000_000
START = 1_790_000_000_000_000


def param(key: str, number: int) -> Param:
    return Param(key=key, value=ParamValue(int_value=number))


def days_of(player: int, *, days: int) -> Iterator[Event]:
    """Every fifth player spends each day; and each comes at an hour of its own."""
    for day in range(days):
        at = START + (24 * day + player % 12) * HOUR
        kinds = ["session_start", "level_start_quickplay"] + ["spend_virtual_currency"] * (player % 5 == 0)
        for number, kind in enumerate(kinds):
            event = Event(
                event_id=f"{player}-{day}-{number}",
                event_name=kind,
                user_pseudo_id=f"player-{player}",
                event_timestamp=at + number * 60_000_000,
                event_params=[param(key, 10 + player % 7) for key in ("level", "value")],
                user_first_touch_timestamp=START - player * HOUR,
                device=Device(time_zone_offset_seconds=3600),
            )
            complete(event, title="game", received_time=event.event_timestamp)
            yield event


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("steps")


@pytest.fixture(scope="module")
def warehouse(folder: Path) -> str:
    address = f"duckdb:{folder / 'warehouse'}"
    events = to_table(Event, [event for player in range(150) for event in days_of(player, days=12)])
    with closing(open_warehouse(address)) as opened:
        opened.create(EVENTS, events.schema)
        opened.append(EVENTS, events, key="event_id")
    return address


@pytest.fixture(scope="module")
def examples(folder: Path, warehouse: str) -> dsl.Dataset:
    made = dsl.Dataset(uri=str(folder / "examples"))
    prepare.python_func(warehouse, "version-1", 24, 4, made)
    return made


@pytest.fixture(scope="module")
def model(folder: Path, examples: dsl.Dataset) -> dsl.Model:
    made = dsl.Model(uri=str(folder / "model"))
    train.python_func(examples, 12, 1, made)
    return made


@pytest.fixture(scope="module")
def judged(folder: Path, examples: dsl.Dataset, model: dsl.Model) -> tuple[dsl.Metrics, dsl.Metrics, dsl.HTML]:
    metrics, champion = dsl.Metrics(uri=str(folder / "metrics")), dsl.Metrics(uri=str(folder / "champion"))
    report = dsl.HTML(uri=str(folder / "report"))
    curve, card = dsl.ClassificationMetrics(uri=str(folder / "curve")), dsl.Markdown(uri=str(folder / "card"))
    evaluate.python_func(examples, model, "", metrics, champion, report, curve, card)
    assert {"confidenceMetrics", "confusionMatrix"} <= set(curve.metadata)
    assert "## How good" in Path(card.path).read_text()
    return metrics, champion, report


@pytest.fixture(scope="module")
def published(folder: Path, model: dsl.Model, judged: tuple[dsl.Metrics, dsl.Metrics, dsl.HTML]) -> dsl.Model:
    made = dsl.Model(uri=str(folder / "published"))
    export.python_func(model, judged[0], "spend", str(folder / "store"), made)
    return made


def test_examples_carry_where_they_come_from_and_how_many_they_are(examples: dsl.Dataset) -> None:
    known = examples.metadata

    assert (known["data_version"], known["horizon_hours"], known["holdout_days"]) == ("version-1", 24, 4)
    assert known["train"] > known["train_positives"] > 0
    assert {path.name for path in Path(examples.path).iterdir()} == {"train.parquet", "eval.parquet", "examples.json"}


def test_a_model_carries_the_lineage_of_its_examples(examples: dsl.Dataset, model: dsl.Model) -> None:
    assert model.metadata.items() >= (examples.metadata | {"epochs": 12, "seed": 1}).items()
    assert len(model.metadata["code_version"]) == 12


def test_of_models_with_different_settings_the_better_one_is_kept_with_its_lineage(
    tmp_path: Path, model: dsl.Model
) -> None:
    worse = dsl.Model(uri=str(tmp_path / "worse"), metadata={"seed": 9})
    Path(worse.path).mkdir()
    (Path(worse.path) / "training.json").write_text(json.dumps({"unseen_loss": 1e9}))
    kept = dsl.Model(uri=str(tmp_path / "kept"))

    pick.python_func([worse, model], kept)

    assert kept.metadata == model.metadata | {"tried": 2}
    assert digest(Path(kept.path)) == digest(Path(model.path))


def test_without_a_champion_only_the_model_is_judged(judged: tuple[dsl.Metrics, dsl.Metrics, dsl.HTML]) -> None:
    metrics, champion, report = judged

    assert json.loads(Path(metrics.path).read_text())["model"] == metrics.metadata
    assert Path(champion.path).read_text() == ""
    assert "<html" in Path(report.path).read_text()


def test_the_gate_says_yes_with_reasons_and_a_no_with_them(
    tmp_path: Path, judged: tuple[dsl.Metrics, dsl.Metrics, dsl.HTML]
) -> None:
    metrics, champion, _ = judged
    verdict = dsl.Markdown(uri=str(tmp_path / "verdict"))

    assert gate.python_func(metrics, champion, verdict) is True
    assert verdict.metadata["reasons"]
    assert Path(verdict.path).read_text() == "\n".join(f"- {reason}" for reason in verdict.metadata["reasons"])

    few = dsl.Metrics(uri=str(tmp_path / "few"))
    Path(few.path).write_text(json.dumps(json.loads(Path(metrics.path).read_text()) | {"rows": 3, "positives": 1}))
    assert gate.python_func(few, champion, verdict) is False
    assert "too few" in verdict.metadata["reasons"][0]
    assert gate.python_func(few, champion, verdict, override="Ana: the launch is today") is True
    assert "Ana: the launch is today" in Path(verdict.path).read_text()


def test_a_published_version_tells_of_its_whole_training(model: dsl.Model, published: dsl.Model) -> None:
    version = load(published.uri)

    assert published.metadata == {"name": "spend", "version": version.version}
    lineage = version.metadata["lineage"]
    assert lineage.items() >= model.metadata.items()
    assert isinstance(lineage["epochs"], int)


def test_numbers_that_kfp_made_floats_are_whole_in_the_lineage(
    tmp_path: Path, model: dsl.Model, judged: tuple[dsl.Metrics, dsl.Metrics, dsl.HTML]
) -> None:
    as_kfp_gives_it = dsl.Model(uri=model.uri, metadata=model.metadata | {"epochs": 12.0})
    made = dsl.Model(uri=str(tmp_path / "published"))

    export.python_func(as_kfp_gives_it, judged[0], "spend", str(tmp_path / "store"), made)

    assert isinstance(load(made.uri).metadata["lineage"]["epochs"], int)


def test_a_champion_is_judged_on_the_same_rows_and_the_gate_compares(
    tmp_path: Path,
    examples: dsl.Dataset,
    model: dsl.Model,
    published: dsl.Model,
    judged: tuple[dsl.Metrics, dsl.Metrics, dsl.HTML],
) -> None:
    metrics, champion = dsl.Metrics(uri=str(tmp_path / "metrics")), dsl.Metrics(uri=str(tmp_path / "champion"))
    verdict = dsl.Markdown(uri=str(tmp_path / "verdict"))

    evaluate.python_func(
        examples,
        model,
        published.uri,
        metrics,
        champion,
        dsl.HTML(uri=str(tmp_path / "report")),
        dsl.ClassificationMetrics(uri=str(tmp_path / "curve")),
        dsl.Markdown(uri=str(tmp_path / "card")),
    )

    assert Path(champion.path).read_text() == Path(judged[0].path).read_text()
    gate.python_func(metrics, champion, verdict)
    assert "champion" in verdict.metadata["reasons"][-1]


def test_a_deploy_without_a_serving_process_says_how_to_start_one(tmp_path: Path, published: dsl.Model) -> None:
    with pytest.raises(NotReady, match="start one with `questline serving run`"):
        deploy.python_func(published, f"folder:{tmp_path}")
