"""The version of the code: what stands for the image's tag on a laptop."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from questline_components import code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a_kernel"
    (folder / "spend" / "sql").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "spend" / "sql" / "labels.sql").write_text("SELECT 1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_kernel", raising=False)
    monkeypatch.setattr(code, "PACKAGES", ("a_kernel",))
    return folder


def version() -> str:
    code.code_version.cache_clear()
    try:
        return code.code_version()
    finally:
        code.code_version.cache_clear()


def test_an_edit_of_a_query_is_another_version_and_taking_it_back_is_the_old_one(package: Path) -> None:
    before = version()

    (package / "spend" / "sql" / "labels.sql").write_text("SELECT 2")
    assert version() != before

    (package / "spend" / "sql" / "labels.sql").write_text("SELECT 1")
    assert version() == before


def test_a_file_under_another_name_is_another_version(package: Path) -> None:
    before = version()

    (package / "spend" / "sql" / "labels.sql").rename(package / "spend" / "sql" / "label.sql")

    assert version() != before


def test_what_python_writes_beside_the_sources_changes_nothing(package: Path) -> None:
    before = version()

    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "__init__.cpython-312.pyc").write_bytes(b"\0")

    assert version() == before
