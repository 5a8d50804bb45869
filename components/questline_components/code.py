"""Which code is installed: on a cluster the image says it, on a laptop only the files do."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

PACKAGES = ("questline_core", "questline_components")
SUFFIXES = (".py", ".sql")


@cache
def code_version() -> str:
    """Return a short digest of the kernel's and the steps' source files; an edit of any of them changes it."""
    digest = sha256()
    for package in PACKAGES:
        _add(digest.update, files(package), package)
    return digest.hexdigest()[:12]


def _add(update: Callable[[bytes], None], folder: Traversable, name: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        inner = f"{name}/{entry.name}"
        if entry.is_dir():
            _add(update, entry, inner)
        elif entry.name.endswith(SUFFIXES):
            update(f"{inner}\0".encode() + entry.read_bytes())
