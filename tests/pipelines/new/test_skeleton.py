"""What `questline new` writes works as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from questline_core.errors import BadInput
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
