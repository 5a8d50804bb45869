"""Overwrite what was deleted from an LMDB file, which otherwise stays readable in pages that wait to be used again."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import lmdb

_FILLER = b"\xff\xff scrub "  # no UTF-8 text begins so
_PAGES = 256
"""Pages that are filled in one step."""


def holds_bytes(path: Path, wanted: bytes) -> bool:
    """Tell whether a file has these bytes anywhere."""
    if not path.exists() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(wanted) >= 0


def scrub(env: lmdb.Environment) -> None:
    """Write all that is in the file anew, then fill every page that is free; readers and other writers may go on."""
    _write_anew(env)
    _fill(env, start=0, count=1)  # a page is used again only by the second writer after the one that freed it
    start, before = 1, _last_page(env)
    while _last_page(env) == before:  # the file grows when no page is free any more
        _fill(env, start=start, count=_PAGES)
        start += _PAGES
    with env.begin(write=True) as transaction:
        cursor = transaction.cursor()
        if cursor.set_range(_FILLER):
            while cursor.key().startswith(_FILLER) and cursor.delete():
                pass


def _write_anew(env: lmdb.Environment) -> None:
    """Copy what is there to new pages: an inner page may keep a deleted key as the border between two others."""
    database = env.open_db(None)
    with env.begin(write=True) as writer, env.begin() as reader:
        writer.drop(database, delete=False)
        with writer.cursor() as target, reader.cursor() as source:
            target.putmulti(_entries(source), append=True)


def _entries(source: Any) -> Any:
    return ((key, value) for key, value in source if not key.startswith(_FILLER))


def _fill(env: lmdb.Environment, *, start: int, count: int) -> None:
    page = bytes(env.stat()["psize"] - 100)
    with env.begin(write=True) as transaction:
        for number in range(start, start + count):
            transaction.put(_FILLER + b"%012d" % number, page)


def _last_page(env: lmdb.Environment) -> int:
    return int(env.info()["last_pgno"])
