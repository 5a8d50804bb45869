"""The command line: one entry point, sub-commands of the rooms, sentences for errors, nothing heavy imported early."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
COMMANDS = sorted(PROJECT["entry-points"]["questline.commands"])
HEAVY = ("apache_beam", "kfp", "kserve", "tensorflow")


LOOKING = (
    ("status",),
    ("down",),
    ("sql", "SELECT 1"),
    ("rejects", "list"),
    ("rejects", "dead-letters"),
    ("revisions", "list"),
    ("revisions", "history"),
    ("monitor",),
    ("trigger", "log"),
    ("forget", "somebody"),
    ("keys", "list"),
    ("keys", "revoke", "k1"),
)
"""What makes nothing, and so must have something to look at."""


def questline(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from questline_core.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120", **settings},
        check=False,
    )


def test_the_help_lists_every_command() -> None:
    helped = questline("--help")

    assert helped.returncode == 0
    assert [name for name in COMMANDS if f" {name} " not in helped.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_without_importing_what_it_may_need_later(command: str) -> None:
    program = (
        "import sys, runpy\n"
        "from questline_core.cli import questline\n"
        f"try: questline([{command!r}, '--help'])\n"
        f"finally: print('HEAVY', sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert "HEAVY []" in ran.stdout


def test_a_bad_setting_is_one_sentence_that_names_it() -> None:
    ran = questline("status", QUESTLINE_TITLE="")

    assert ran.returncode == 1
    assert "QUESTLINE_TITLE" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_unknown_command_is_refused_with_its_name() -> None:
    ran = questline("nosuch")

    assert ran.returncode == 2
    assert "nosuch" in ran.stderr


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_looking_into_a_home_that_is_not_there_makes_none_and_says_so(command: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "mistyped"
    ran = questline(*command, QUESTLINE_HOME=str(home))

    assert ran.returncode == 1
    assert f"there is no home at {home}; `questline up` makes one, or set QUESTLINE_HOME" in ran.stderr
    assert not home.exists()


def test_who_says_where_the_warehouse_is_needs_no_home(tmp_path: Path) -> None:
    home = tmp_path / "unused"
    ran = questline("sql", "SELECT 1", QUESTLINE_HOME=str(home), QUESTLINE_WAREHOUSE=f"duckdb:{tmp_path}")

    assert ran.returncode == 0, ran.stderr
    assert not home.exists()
