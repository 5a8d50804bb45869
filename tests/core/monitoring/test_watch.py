"""What players look like now, against what the served model learned from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from questline_core.errors import NotReady
from questline_core.monitoring.commands import monitor
from questline_core.monitoring.profile import Profile
from questline_core.monitoring.watch import LEAST_ROWS, drift_exceeds, watch
from questline_core.testing.answers import an_answer, fill_answers
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.warehouse.port import Warehouse, open_warehouse

PLAYERS = LEAST_ROWS


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """All players come on two days; on the second, half of them buy instead of looking."""
    address = f"duckdb:{tmp_path_factory.mktemp('home') / 'warehouse'}"
    with closing(open_warehouse(address)) as opened:
        first = [an_event(f"p{n}", MONDAY + n, "screen_view") for n in range(PLAYERS)]
        second = [
            an_event(f"p{n}", MONDAY + DAY + n, "in_app_purchase" if n % 2 else "screen_view") for n in range(PLAYERS)
        ]
        fill(opened, [*first, *second])
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A model that learned from players who only look."""
    version = tmp_path / "models" / "spend" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(json.dumps({"name": "spend", "version": "v1"}))
    Profile.of({"event_name": np.array(["screen_view"] * PLAYERS, object)}).write(version)
    return str(tmp_path / "models")


def test_each_window_is_compared_with_the_training(warehouse: Warehouse, store: str) -> None:
    before, after = watch(warehouse, store, windows=2, days=1).windows

    assert (before.rows, after.rows) == (PLAYERS, PLAYERS)
    assert after.moved == ["event_name"]
    assert after.inputs["event_name"].ks == pytest.approx(0.5, abs=0.01)


def test_a_window_with_few_rows_says_nothing(warehouse: Warehouse, store: str) -> None:
    earliest, *_ = watch(warehouse, store, windows=3, days=1).windows

    assert (earliest.rows, earliest.inputs, earliest.moved) == (0, {}, [])


def test_drift_is_a_sentence_for_the_trigger_only_beyond_its_threshold(warehouse: Warehouse, store: str) -> None:
    assert drift_exceeds(warehouse, store, psi=0.25, days=1).startswith("event_name moved in the last 1 days")
    assert drift_exceeds(warehouse, store, psi=99, days=1) == ""


@pytest.fixture
def answered(warehouse: Warehouse, tmp_path: Path) -> tuple[Warehouse, str]:
    """The players of the second day were answered twice what the training was; the profile knows no inputs."""
    events = [
        an_event(f"p{n}", MONDAY + DAY + n, "in_app_purchase" if n % 2 else "screen_view") for n in range(PLAYERS)
    ]
    fill_answers(warehouse, [an_answer(event, value=2.0 * n) for n, event in enumerate(events)])
    version = tmp_path / "scored" / "spend" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(json.dumps({"name": "spend", "version": "v1"}))
    kinds = np.array(["screen_view", "in_app_purchase"] * (PLAYERS // 2), object)
    profile = Profile.of({"event_name": kinds}, scores={"value": np.arange(PLAYERS, dtype=float)})
    replace(profile, columns={}).write(version)
    return warehouse, str(tmp_path / "scored")


def test_what_the_model_answered_is_compared_with_what_it_answered_to_its_training(
    answered: tuple[Warehouse, str],
) -> None:
    before, after = watch(*answered, windows=2, days=1).windows

    assert (before.answers, before.scores) == (0, {})
    assert after.answers == PLAYERS
    assert after.scores["value"].ks == pytest.approx(0.5, abs=0.06)
    assert drift_exceeds(*answered, psi=0.25, days=1).startswith("score value moved in the last 1 days")


def test_answers_of_other_revisions_are_not_this_models(answered: tuple[Warehouse, str], tmp_path: Path) -> None:
    warehouse, store = answered
    (Path(store) / "spend" / "v1").rename(Path(store) / "spend" / "v0")
    (Path(store) / "spend" / "v0" / "model.json").write_text(json.dumps({"name": "spend", "version": "v0"}))

    (window,) = watch(warehouse, store, windows=1, days=1).windows

    assert (window.answers, window.scores) == (0, {})


def test_an_input_that_only_grows_is_shown_and_is_no_news(warehouse: Warehouse, tmp_path: Path) -> None:
    version = tmp_path / "grown" / "spend" / "v1"
    version.mkdir(parents=True)
    (version / "model.json").write_text(json.dumps({"name": "spend", "version": "v1"}))
    Profile.of({"events": np.arange(PLAYERS) + 1000.0}).write(version)

    (window,) = watch(warehouse, str(tmp_path / "grown"), windows=1, days=1).windows

    assert window.moved == ["events"]
    assert drift_exceeds(warehouse, str(tmp_path / "grown"), psi=0.25, days=1) == ""


def test_without_a_model_there_is_nothing_to_compare_with(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no spend model"):
        watch(warehouse, str(tmp_path), windows=1, days=1)


def test_without_events_it_says_so(store: str, tmp_path: Path) -> None:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'empty'}")) as empty, pytest.raises(NotReady, match="no events"):
        watch(empty, store, windows=1, days=1)


def test_the_command_prints_windows_writes_a_page_and_fails_above_a_threshold(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"duckdb:{tmp_path / 'warehouse'}"
    with closing(open_warehouse(address)) as opened:
        events = [an_event(f"p{n}", MONDAY + n, "in_app_purchase") for n in range(PLAYERS + 1)]
        last = [an_event("p0", MONDAY + DAY, "spend_virtual_currency", value=3), an_event("p0", MONDAY + DAY + 1000)]
        fill(opened, [*events, *last])
        asked_with = {"events": 7.0}
        fill_answers(opened, [an_answer(event, inputs=asked_with) for event in events])
    monkeypatch.setenv("QUESTLINE_WAREHOUSE", address)
    monkeypatch.setenv("QUESTLINE_MODEL_STORE", store)
    page = tmp_path / "drift.html"

    app = Typer()
    app.command()(monitor)
    ran = CliRunner().invoke(app, ["--windows", "1", "--days", "2", "--fail-above", "0.25", "--report", str(page)])

    assert ran.exit_code == 1, ran.output
    for told in ("event_name", "501 compared", "events 100.0%", "501 answers  v1  total +33300.0%"):
        assert told in ran.output
    shown = page.read_text()
    for section in ("event_name", "Was a probability what it said?", "Was the interval right?", "were not those of"):
        assert section in shown
