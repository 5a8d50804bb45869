"""Tell how large the tables are that a query asks, without running it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from questline_core.errors import BadInput
from questline_core.warehouse.googlesql import parse, similar, table_name
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.statements import models
from questline_core.warehouse.store import Store


def bytes_asked(store: Store, sql: str) -> int:
    """Add up the sizes of all files of the tables that a query names, each once.

    Raises:
        BadInput: it is no query, it asks a model, a table is not there, or a view asks itself.
    """
    _, calls = models.take_out(sql)
    if calls:
        raise BadInput(f"{calls[0].place}: what a model reads is not known before it runs; leave the ML function out")
    return sum(Path(file).stat().st_size for table in set(_asked(store, sql)) for file in store.files(table))


def _asked(store: Store, sql: str, inside: frozenset[str] = frozenset()) -> Iterator[str]:
    tables, views = store.tables(), store.views()
    for table in parse(sql).tables():
        name = table_name(table)
        if name in views:
            if name in inside:
                raise BadInput(f"{place(table)}: the view {name} asks itself; put another query in its place")
            yield from _asked(store, store.view(name), inside | {name})
            continue
        matching = [known for known in tables if known == name or (name[-1] == "*" and known.startswith(name[:-1]))]
        if not matching:
            raise BadInput(f"{place(table)}: there is no table {name}{similar(name, tables, 'the tables are')}")
        yield from matching
