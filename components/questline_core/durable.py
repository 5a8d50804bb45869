"""Put files in place so that a crash or a power cut leaves the old ones or the new ones, and never half of one."""

from __future__ import annotations

import os
from pathlib import Path


def put_in_place(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a crash leaves the old one or the new one."""
    aside = path.with_name(f".{path.name}.aside")
    aside.write_bytes(content)
    settle(aside, path)


def settle(aside: Path, path: Path) -> None:
    """Force a file, or a folder with all that is in it, to disk, give it its name, and force the name to disk."""
    for one in (aside, *aside.rglob("*")):
        sync(one)
    aside.replace(path)
    sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durable like the files in it."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(path: Path) -> None:
    """Force a file's content, or the names in a folder, to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
