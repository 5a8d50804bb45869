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


@pytest.fixture
def alone(install: Install) -> None:
    """No package needs another one: to look through all that are installed here takes a second."""
    install("questline", "1.0")


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


def test_a_pre_release_that_fits_is_no_clash_and_names_may_be_written_in_any_way(install: Install) -> None:
    install("aaa", "1.0", "B_b.B>=1", "aaa[more]", "nowhere>1; python_version < '3'")
    install("b_b_b", "2.0rc1", "ccc<7")
    install("ccc", "7.1")

    assert clashes("AAA") == ["b-b-b needs ccc<7, and 7.1 is installed"]


def test_a_clash_is_bad_and_says_how_to_mend_it(install: Install, tmp_path: Path) -> None:
    install("questline", "1.0", "bbb<1")
    install("bbb", "2.0")

    packages = found(PlatformSettings.read(home=tmp_path))["packages"]

    assert (packages.verdict, packages.found) == (Verdict.BAD, "questline needs bbb<1, and 2.0 is installed")
    assert "uv sync" in packages.fix


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("system", "verdict"), [("Linux", Verdict.GOOD), ("Darwin", Verdict.BAD)])
def test_another_system_than_linux_is_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, verdict: Verdict
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)

    assert found(PlatformSettings.read(home=tmp_path))["system"].verdict is verdict


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("free_bytes", "verdict"), [(LEAST_FREE_BYTES - 1, Verdict.BAD), (LEAST_FREE_BYTES, Verdict.GOOD)]
)
def test_too_little_room_is_bad_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, verdict: Verdict
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free_bytes))

    room = found(PlatformSettings.read(home=tmp_path / "home"))["room"]

    assert (room.verdict, room.found) == (verdict, f"2.0 GB are free at {tmp_path}")


@pytest.mark.usefixtures("alone")
def test_a_home_that_will_be_made_is_good(tmp_path: Path) -> None:
    assert found(PlatformSettings.read(home=tmp_path / "a" / "b"))["home"].verdict is Verdict.GOOD


@pytest.mark.usefixtures("alone")
def test_a_home_that_cannot_be_written_is_bad_and_the_folder_that_keeps_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda place, _: place != tmp_path)  # root may write everywhere

    home = found(PlatformSettings.read(home=tmp_path / "a" / "b"))["home"]

    assert (home.verdict, home.found) == (Verdict.BAD, f"{tmp_path} cannot be written")
