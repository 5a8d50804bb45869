"""Traps of a machine are found, and a good machine has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from questline_core.doctor.findings import Finding, Verdict
from questline_core.doctor.machine import LEAST_FREE_BYTES, clashes, examine_machine
from questline_core.settings import PlatformSettings

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put packages that need others where Python finds installed ones."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def add(name: str, version: str, *needs: str) -> None:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {n}" for n in needs),
        ]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")

    return add


def found(settings: PlatformSettings) -> dict[str, Finding]:
    return {one.check: one for one in examine_machine(settings)}


def test_what_is_installed_here_does_not_clash() -> None:
    assert clashes("questline") == []


def test_a_version_that_a_package_of_a_package_does_not_bear_is_named(install: Install) -> None:
    install("aaa", "1.0", "bbb>=1")
    install("bbb", "1.5", "ccc<7")
    install("ccc", "7.1")

    assert clashes("aaa") == ["bbb needs ccc<7, and 7.1 is installed"]


def test_extras_of_ours_count_where_they_are_installed_and_those_of_others_do_not(install: Install) -> None:
    install("aaa", "1.0", "bbb<1; extra == 'more'", "nothere<1; extra == 'more'")
    install("bbb", "2.0", "ccc<7; extra == 'odd'")
    install("ccc", "7.1")

    assert clashes("aaa") == ["aaa needs bbb<1, and 2.0 is installed"]


def test_too_little_room_is_bad_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=LEAST_FREE_BYTES - 1))

    assert found(PlatformSettings.read(home=tmp_path / "home"))["room"].verdict is Verdict.BAD


def test_a_home_that_will_be_made_is_good(tmp_path: Path) -> None:
    assert found(PlatformSettings.read(home=tmp_path / "a" / "b"))["home"].verdict is Verdict.GOOD
