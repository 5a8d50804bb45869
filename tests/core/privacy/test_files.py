"""Files lose a player and nothing else."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

from questline_core.errors import BadInput, NotReady
from questline_core.privacy.files import FilesHolder

PLAYER = "player-1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    table = pa.table({"player": [PLAYER, "player-10", PLAYER, None], "spend": [1.5, 2.5, 3.5, 4.5]})
    pq.write_table(table, tmp_path / "deep/examples")  # KFP gives files no suffix
    (tmp_path / "log.txt").write_text(f"saw {PLAYER}, then player-10 and not-{PLAYER}\n")
    (tmp_path / "other.json").write_text('{"player": "player-10"}')
    return tmp_path


def test_rows_and_words_of_the_player_go_and_those_of_others_stay(root: Path) -> None:
    holder = FilesHolder(str(root))
    assert holder.find(PLAYER) == 2

    assert holder.erase(PLAYER) == 2

    assert holder.find(PLAYER) == 0
    assert pq.read_table(root / "deep/examples").to_pylist() == [
        {"player": "player-10", "spend": 2.5},
        {"player": None, "spend": 4.5},
    ]
    assert (root / "log.txt").read_text() == f"saw {'*' * len(PLAYER)}, then player-10 and not-{PLAYER}\n"
    assert (root / "other.json").read_text() == '{"player": "player-10"}'
    assert sorted(path.name for path in root.rglob("*")) == ["deep", "examples", "log.txt", "other.json"]


def test_a_file_that_a_process_appends_to_stays_the_same_file(root: Path) -> None:
    log = root / "log.txt"
    with log.open("a") as running:
        FilesHolder(str(root), appended=True).erase(PLAYER)
        running.write("more\n")

    assert log.read_text().endswith("\nmore\n")
    assert log.read_text().startswith("saw ********,")


def test_a_line_that_a_process_writes_while_its_file_is_cleaned_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, read = root / "log.txt", LocalFileSystem.cat_file

    def read_and_be_overtaken(self: LocalFileSystem, path: str) -> bytes:
        content: bytes = read(self, path)
        if path == str(log):
            with log.open("a") as running:
                running.write(f"and {PLAYER} came again\n")
        return content

    monkeypatch.setattr(LocalFileSystem, "cat_file", read_and_be_overtaken)
    assert FilesHolder(str(root), appended=True).erase(PLAYER) == 2
    monkeypatch.undo()
    stars = "*" * len(PLAYER)
    assert log.read_text() == f"saw {stars}, then player-10 and not-{PLAYER}\nand {PLAYER} came again\n"

    assert FilesHolder(str(root), appended=True).erase(PLAYER) == 1

    assert log.read_text() == f"saw {stars}, then player-10 and not-{PLAYER}\nand {stars} came again\n"


def test_an_id_is_found_as_json_writes_it(tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text('{"player": "J\\u00f6rg \\"x\\""}')
    holder = FilesHolder(str(tmp_path))

    assert holder.erase('Jörg "x"') == 1
    assert "00f6" not in (tmp_path / "facts.json").read_text()


def test_a_file_that_cannot_be_cleaned_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"\0\1 " + PLAYER.encode() + b" \0")

    with pytest.raises(BadInput, match=r"model\.bin"):
        FilesHolder(str(tmp_path)).erase(PLAYER)


def test_a_file_that_cannot_be_searched_is_named_and_the_others_are_cleaned(root: Path) -> None:
    (root / "aborted").write_bytes(b"PAR1 and no end")

    with pytest.raises(NotReady, match=r"aborted cannot be searched .*; try again, or delete"):
        FilesHolder(str(root)).erase(PLAYER)

    (root / "aborted").unlink()
    assert FilesHolder(str(root)).find(PLAYER) == 0


def test_a_place_under_a_url_is_cleaned_by_the_same_code() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/runs/report.html", b"<td>player-1</td>")
    holder = FilesHolder("memory://runs")

    assert holder.erase(PLAYER) == 1
    assert memory.cat_file("/runs/report.html") == b"<td>********</td>"


def test_a_root_that_is_not_there_holds_nobody(tmp_path: Path) -> None:
    assert FilesHolder(str(tmp_path / "nothing")).erase(PLAYER) == 0
