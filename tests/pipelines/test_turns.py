"""One run of a pipeline at a time: processes that wait, and one that dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from questline_core.errors import BadInput, NotReady
from questline_pipelines.turns import going_on, turn

OTHER = """
import sys
from pathlib import Path
from questline_pipelines.turns import turn

with turn(Path(sys.argv[1]), "spend") as name:
    print(name, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that has the turn until its input ends; yields it and its run's name."""
    command = [sys.executable, "-c", OTHER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_who_does_not_wait_is_told_which_run_goes_on(tmp_path: Path) -> None:
    with another_process(tmp_path) as (_, other):
        assert going_on(tmp_path, "spend") == other
        with pytest.raises(NotReady, match=f"{other} goes on"), turn(tmp_path, "spend"):
            pass


def test_who_waits_comes_after_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, other):
        told = []

        def end_it(run: str) -> None:
            told.append(run)
            process.communicate()

        with turn(tmp_path, "spend", waits=end_it) as name:
            assert told == [other] != [name]
            assert going_on(tmp_path, "spend") == name

    assert going_on(tmp_path, "spend") == ""


def test_a_run_that_is_killed_leaves_its_turn(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, _):
        process.kill()
        process.wait()
        with turn(tmp_path, "spend") as name:
            assert name.startswith("spend-")


def test_pipelines_do_not_wait_for_one_another(tmp_path: Path) -> None:
    with turn(tmp_path, "spend"), turn(tmp_path, "churn") as name:
        assert (going_on(tmp_path, "churn"), going_on(tmp_path, "backfill")) == (name, "")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    told = pytest.raises(BadInput, match=r"cannot write .*/file/pipelines .*QUESTLINE_HOME")
    with told, turn(tmp_path / "file" / "pipelines", "spend"):
        pass
