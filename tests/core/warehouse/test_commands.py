"""`questline sql` and `questline import-table`, run as a user runs them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from questline_core.cli import main


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path / "home"))

    def command(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["questline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return command


@pytest.fixture
def players(run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "players.csv"
    path.write_text("id,spent,at\na,9007199254740993,2020-01-02T03:04:05Z\n'b',,\n", encoding="utf-8")
    done = run("import-table", "game.players", str(path))
    assert (done.code, done.stdout, done.stderr) == (0, "2 rows loaded into game.players\n", "")
    return path


@pytest.mark.usefixtures("players")
def test_json_is_exact(run: Run) -> None:
    done = run("sql", "SELECT *, [STRUCT(1.5 AS x)] AS nested FROM game.players ORDER BY id DESC", "--format", "json")

    assert json.loads(done.stdout) == [
        {"id": "a", "spent": 2**53 + 1, "at": "2020-01-02T03:04:05Z", "nested": [{"x": 1.5}]},
        {"id": "'b'", "spent": None, "at": None, "nested": [{"x": 1.5}]},
    ]


@pytest.mark.usefixtures("players")
def test_csv_has_a_header_and_all_rows(run: Run) -> None:
    done = run("sql", "SELECT id, spent, [1, 2] AS list FROM game.players ORDER BY id DESC", "--format", "csv")

    assert list(csv.reader(done.stdout.splitlines())) == [
        ["id", "spent", "list"],
        ["a", "9007199254740993", "[1, 2]"],
        ["'b'", "", "[1, 2]"],
    ]


@pytest.mark.usefixtures("players")
def test_a_table_for_people_says_how_many_rows_there_are(run: Run) -> None:
    done = run("sql", "SELECT id FROM game.players ORDER BY id", "--max-rows", "1")

    assert "'b'" in done.stdout
    assert "2 rows; the first 1 are shown" in done.stdout


@pytest.mark.usefixtures("players")
def test_without_a_query_the_tables_are_listed(run: Run) -> None:
    listed = run("sql").stdout
    exact = json.loads(run("sql", "--format", "json").stdout)

    assert "game.players" in listed
    assert exact == [{"table": "game.players", "rows": 2, "columns": ["id STRING", "spent INT64", "at TIMESTAMP"]}]


def test_a_query_comes_from_a_file_with_parameters(run: Run, tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text(
        "SELECT @n + 1 AS n, @day AS day, @at AS at, 'b' IN UNNEST(@ids) AS b, @text AS text"
    )
    given = ("n=41", "day=2020-01-02", "at=2020-01-02T03:04:05Z", 'ids=["a", "b"]', "text=a=b")

    done = run("sql", "--file", str(tmp_path / "q.sql"), *(f"--param={value}" for value in given), "--format", "json")

    assert json.loads(done.stdout) == [
        {"n": 42, "day": "2020-01-02", "at": "2020-01-02T03:04:05Z", "b": True, "text": "a=b"}
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("sql", "SELECT x FROM game.nothing"), "questline: line 1, column 15: there is no table game.nothing"),
        (("sql", "SELEC 1"), "questline: "),
        (("sql", "SELECT 1", "--param", "x"), "questline: --param 'x' is not of the form NAME=VALUE"),
        (("sql", "SELECT 1", "--file", "x.sql"), "questline: give a query or --file, not both"),
        (("sql", "--file", "nothing.sql"), "questline: cannot read nothing.sql"),
        (("import-table", "game.t", "nothing.csv"), "questline: there is no file nothing.csv"),
        (("import-table", "game", __file__), "questline: "),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], problem: str, run: Run) -> None:
    done = run(*arguments)

    assert done.code == 1
    assert done.stderr.startswith(problem)
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_asking_imports_no_room() -> None:
    code = (
        "import sys; from questline_core.cli import main; sys.argv = ['questline', 'sql', 'SELECT 1']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('apache_beam', 'tensorflow', 'kfp', 'grpc', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("players")
def test_a_dry_run_tells_the_size_and_asks_nothing(run: Run) -> None:
    done = run("sql", "SELECT 1 / 0 FROM game.players", "--dry-run")

    assert re.fullmatch(
        r"reads at most [1-9][0-9,]* bytes and costs about \$0\.0000 \(the whole files.*nothing\)\n", done.stdout
    )


def test_a_dry_run_counts_each_table_once_and_looks_through_views(run: Run, players: Path) -> None:
    assert run("sql", "CREATE VIEW game.rich AS SELECT * FROM game.players WHERE spent > 1").stderr == "done\n"

    asked = ("game.players", "game.rich", "game.rich CROSS JOIN game.players", "`game.play*`")
    answers = {run("sql", f"SELECT * FROM {names}", "--dry-run").stdout for names in asked}  # noqa: S608 - names of this test

    assert len(answers) == 1
    assert answers.pop().startswith("reads at most ")


def test_a_file_is_loaded_from_a_url(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("n\n1\n2\n", encoding="utf-8")

    assert run("import-table", "game.numbers", f"file://{tmp_path}/x.csv").stdout == "2 rows loaded into game.numbers\n"
    assert run("import-table", "game.numbers", f"file://{tmp_path}/y.csv").stderr.startswith(
        "questline: cannot read file://"
    )
