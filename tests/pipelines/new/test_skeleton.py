"""What `questline new` writes works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_core.testing.event_tables import MONDAY, an_event, fill
from questline_core.warehouse.port import open_warehouse
from questline_pipelines.new.skeleton import write_skeleton


def test_the_tests_of_both_skeletons_pass(tmp_path: Path) -> None:
    write_skeleton("component", "long-lines", tmp_path)
    write_skeleton("pipeline", "players", tmp_path)

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout


def test_a_new_pipeline_runs_here_as_a_script(tmp_path: Path) -> None:
    file, _ = write_skeleton("pipeline", "players", tmp_path)
    with closing(open_warehouse(f"duckdb:{tmp_path / 'home' / 'warehouse'}")) as warehouse:
        fill(warehouse, [an_event("ann", MONDAY), an_event("bob", MONDAY)])

    ran = subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "QUESTLINE_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "2"


def test_files_that_are_there_are_kept(tmp_path: Path) -> None:
    (file,) = [path for path in write_skeleton("component", "mine", tmp_path) if path.name == "mine.py"]
    file.write_text("work of a day")

    with pytest.raises(BadInput, match=r"mine\.py .* exist already"):
        write_skeleton("component", "mine", tmp_path)
    assert file.read_text() == "work of a day"


@pytest.mark.parametrize("name", ["", "two words", "class", "9lives", "../up", "Big"])
def test_a_name_that_is_no_function_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is no name for a component"):
        write_skeleton("component", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("kind", "name"), [("component", "dsl"), ("pipeline", "count_players"), ("component", "json")])
def test_a_name_that_means_something_else_in_the_files_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    with pytest.raises(BadInput, match="choose another name"):
        write_skeleton(kind, name, tmp_path / "new")
    assert not (tmp_path / "new").exists()
