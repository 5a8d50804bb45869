"""What players look like now, against what the served model learned from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from questline_core.errors import NotReady
from questline_core.monitoring.commands import monitor
from questline_core.monitoring.profile import Profile
from questline_core.monitoring.watch import LEAST_ROWS, drift_exceeds, watch
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
        fill(opened, [an_event(f"p{n}", MONDAY + n, "in_app_purchase") for n in range(PLAYERS + 1)])
    monkeypatch.setenv("QUESTLINE_WAREHOUSE", address)
    monkeypatch.setenv("QUESTLINE_MODEL_STORE", store)
    page = tmp_path / "drift.html"

    app = Typer()
    app.command()(monitor)
    ran = CliRunner().invoke(app, ["--windows", "1", "--fail-above", "0.25", "--report", str(page)])

    assert ran.exit_code == 1, ran.output
    assert "event_name" in ran.output
    assert "event_name" in page.read_text()
