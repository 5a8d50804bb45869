"""Traps of this machine: packages that clash, a home that cannot be written, too little room."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from questline_core.doctor.findings import Finding, bad, good
from questline_core.settings import PlatformSettings

LEAST_FREE_BYTES = 2 * 10**9
"""What a demonstration writes, with room to spare."""


def examine_machine(settings: PlatformSettings) -> Iterator[Finding]:
    """Look at the packages and the disk."""
    yield _packages()
    yield _system()
    yield _home(settings.paths.root)
    yield _room(settings.paths.root)


def clashes(root: str) -> list[str]:
    """List what installed packages need of each other and do not get, from one package on.

    Extras count where what they bring is installed: a clash there breaks the commands that use it.
    """
    found, todo, seen = list[str](), [root], set[str]()
    while todo:
        name = canonicalize_name(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            have = _installed(needed.name)
            if have is None or not _applies(needed, ours=name == canonicalize_name(root)):
                continue
            if not needed.specifier.contains(have, prereleases=True):
                found.append(f"{name} needs {needed.name}{needed.specifier}, and {have} is installed")
            todo.append(needed.name)
    return found


def _applies(needed: Requirement, *, ours: bool) -> bool:
    """Tell whether a requirement counts: all of our extras do, and none of other packages'."""
    if needed.marker is None:
        return True
    if ours and "extra" in str(needed.marker):
        return True
    return needed.marker.evaluate({"extra": ""})


def _installed(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def _packages() -> Finding:
    found = clashes("questline")
    fix = "install the versions of the lock file: uv sync --frozen --all-extras"
    return bad("packages", "; ".join(found), fix) if found else good("packages", "no installed versions clash")


def _system() -> Finding:
    told = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    if platform.system() != "Linux":
        fix = "run it in a Linux container or VM; elsewhere processes that were started may outlive the one that did"
        return bad("system", told, fix)
    return good("system", told)


def _home(root: Path) -> Finding:
    place = _first_there(root)
    if os.access(place, os.W_OK | os.X_OK):
        return good("home", f"{root} can be written")
    return bad("home", f"{place} cannot be written", "make it writable, or set QUESTLINE_HOME to a folder of yours")


def _room(root: Path) -> Finding:
    place = _first_there(root)
    free = shutil.disk_usage(place).free
    told = f"{free / 1e9:.1f} GB are free at {place}"
    if free < LEAST_FREE_BYTES:
        fix = f"free at least {LEAST_FREE_BYTES / 1e9:.0f} GB, or set QUESTLINE_HOME to another disk"
        return bad("room", told, fix)
    return good("room", told)


def _first_there(path: Path) -> Path:
    return next(one for one in (path, *path.parents) if one.exists())
