"""Answer one query: find what its tables, views, wildcards and ML functions stand for, and run it."""

from __future__ import annotations

import secrets
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import members
from questline_core.warehouse.engine import Engine
from questline_core.warehouse.googlesql import Question, Variable, checked, parse, similar, table_name, translate
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.statements import models
from questline_core.warehouse.statements.catalog import PREFIX, information
from questline_core.warehouse.statements.script import Piece
from questline_core.warehouse.store import Store
from questline_core.warehouse.types import duckdb_type
from questline_core.warehouse.unnest import name_fields_of_elements
from questline_core.warehouse.where import at

FILE, ROW = "_questline_file", "_questline_row"
"""Columns of a table that is to be changed: where each row lies."""
_SUFFIX = "_TABLE_SUFFIX"


@dataclass(slots=True)
class Reader:
    """Runs queries with a script's parameters, variables and temporary tables."""

    store: Store
    engine: Engine
    values: Mapping[str, Any]
    variables: ChainMap[str, Variable] = field(default_factory=ChainMap)
    relations: dict[str, pa.Table] = field(default_factory=dict)
    """Temporary tables, by name."""
    calls: Sequence[models.Call] = ()
    """ML functions that were taken out of the statement."""
    inside: frozenset[str] = frozenset()
    """Views whose columns are asked for now."""

    def ask(self, text: str) -> pa.Table:
        """Run the text of a query; ML functions in it are answered first."""
        text, calls = models.take_out(text)
        return self.answer(parse(text), calls)

    def answer(self, question: Question, calls: Sequence[models.Call] = (), *, target: str = "") -> pa.Table:
        """Run a query; tables called `target` get columns that tell where each row lies."""
        found = dict(self.relations)
        for call in calls or self.calls:
            clauses = models.visible_clauses(question.tree, call.relation)
            ask = partial(self._ask_within, clauses=clauses, found=dict(found))
            found[call.relation] = models.hook(call.place).call(self.asked(call, ask))
        return self._run(question, found, target)

    def asked(self, what: Piece | models.Call, query: Callable[[str], pa.Table]) -> models.Asked:
        """Put a statement or a call for BigQuery ML together with what it may ask of this warehouse."""
        return models.Asked(
            text=what.text,
            place=what.place,
            root=self.store.root,
            query=query,
            version=lambda table: self.store.manifest(table).content_version,
        )

    def value(self, tree: exp.Expr, text: str) -> tuple[Any, pa.DataType]:
        """Compute the value of an expression."""
        found = self.answer(checked(text, exp.Select(expressions=[exp.Alias(this=tree, alias="v")])))
        return found.column(0)[0].as_py(), found.schema.field(0).type

    def _ask_within(self, text: str, *, clauses: Sequence[exp.CTE], found: dict[str, pa.Table]) -> pa.Table:
        inner = Reader(self.store, self.engine, self.values, self.variables, found)
        text, calls = models.take_out(text)
        question = parse(text)
        own = question.tree.args.get("with_")
        if clauses:
            together = [clause.copy() for clause in (*clauses, *(own.expressions if own else ()))]
            question.tree.set("with_", exp.With(expressions=together))
        return inner.answer(question, calls)

    def _run(self, question: Question, relations: Mapping[str, pa.Table], target: str) -> pa.Table:
        self._check_variables(question)
        scan = _Scan(self, question, dict(relations), target)
        translated = translate(question, scan, self.values, self.variables, scan.columns)
        return self.engine.run(translated, scan.used)

    def _check_variables(self, question: Question) -> None:
        """A column goes before a variable of its name; rather than to guess, such a text is refused."""
        if not self.variables:
            return
        used = {column.parts[0].name.lower(): column for column in question.tree.find_all(exp.Column)}
        used = {name: column for name, column in used.items() if name in self.variables}
        if not used:
            return
        names = {alias.alias.lower() for alias in question.tree.find_all(exp.Alias, exp.TableAlias)}
        for table in question.tables():
            name = table_name(table)
            names |= {table.name.lower()}
            if name in self.store.tables():
                names |= {column.lower() for column in self.store.schema(name).names}
        for name, column in used.items():
            if name in names:
                raise BadInput(f"{place(column)}: {name} is a variable and also a column or alias here; rename one")


class _Scan:
    """Gives what stands in place of a table."""

    def __init__(self, reader: Reader, question: Question, relations: dict[str, pa.Table], target: str) -> None:
        self._reader, self._store, self._target = reader, reader.store, target
        self._relations = relations
        self._wants_suffix = any(column.name.upper() == _SUFFIX for column in question.tree.find_all(exp.Column))
        self._open = list[str]()
        """The views that are written out now, outer ones first."""
        self.used = dict[str, pa.Table]()
        """The tables in memory that the query reads."""

    def __call__(self, table: exp.Table) -> exp.Expr:
        if table.args.get("sample"):
            raise BadInput(
                f"{place(table)}: the embedded warehouse has no TABLESAMPLE; a sample by chance differs anyway"
            )
        name = table_name(table)
        if name in self._relations:
            return self._placed(table, exp.select("*").from_(self._in_memory(name, self._relations[name])))
        if PREFIX in name.upper():
            return self._placed(table, exp.select("*").from_(self._information(table, name)))
        if name.endswith("*"):
            return self._wildcard(table, name.removesuffix("*"))
        here = self._store.tables()
        if name in here:
            return self._placed(table, self._files(name, where=name == self._target))
        if name in self._store.views():
            with at(place(table)):
                return self._placed(table, self._view(name))
        raise BadInput(f"{place(table)}: there is no table {name}{similar(name, here, 'the tables are')}")

    def columns(self, table: exp.Table) -> Mapping[str, pa.DataType | None] | None:
        """Tell the columns of a table, for names that stand alone."""
        name = table_name(table)
        if name in self._relations:
            schema = self._relations[name].schema
        elif name in self._store.tables():
            schema = self._store.schema(name)
        elif name in self._store.views() and name not in self._reader.inside:
            inner = replace(self._reader, calls=(), inside=self._reader.inside | {name})
            schema = inner.ask(f"SELECT * FROM `{name}` LIMIT 0").schema  # noqa: S608 - a name that is there
        else:
            return None
        return dict(zip(schema.names, schema.types, strict=True))

    def _placed(self, table: exp.Table, select: exp.Query) -> exp.Subquery:
        alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
        kept = {key: table.args.get(key) for key in ("joins", "pivots")}
        return exp.Subquery(this=select, alias=alias, **kept)

    def _in_memory(self, name: str, rows: pa.Table) -> exp.Table:
        held = f"_held_{name.replace('.', '_')}_{secrets.token_hex(4)}"
        self.used[held] = rows
        return exp.Table(this=exp.to_identifier(held, quoted=True))

    def _information(self, table: exp.Table, name: str) -> exp.Table:
        dataset, _, view = name.upper().rpartition(PREFIX)
        dataset = "" if dataset.startswith("REGION-") else table.db
        with at(place(table)):
            rows = information(self._store, view, dataset, Reader(self._store, self._reader.engine, {}).ask)
        return self._in_memory("information", rows)

    def _files(self, name: str, *, where: bool = False) -> exp.Select:
        paths = exp.Array(expressions=[exp.Literal.string(file) for file in self._store.files(name)])
        no_hive = exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false())
        by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.convert(self._store.manifest(name).grown))
        source = exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[paths, no_hive, by_name]))
        select = exp.select("*")
        if where:
            select = select.select(
                exp.alias_(exp.column("filename"), FILE), exp.alias_(exp.column("file_row_number"), ROW)
            )
        return select.from_(source)

    def _view(self, name: str) -> exp.Query:
        if name in self._open:
            raise BadInput(f"the view {name} asks itself; put another query in its place")
        self._open.append(name)
        try:
            question = parse(self._store.view(name))
            name_fields_of_elements(question.tree, self.columns)
            for table in question.tables():
                table.replace(self(table))
        except BadInput as error:
            raise BadInput(f"in the view {name}: {error}") from None
        finally:
            self._open.pop()
        return question.tree

    def _wildcard(self, table: exp.Table, prefix: str) -> exp.Subquery:
        names = [name for name in self._store.tables() if name.startswith(prefix)]
        if not names:
            raise BadInput(
                f"{place(table)}: no table matches {prefix}*{similar(prefix, self._store.tables(), 'the tables are')}"
            )
        newest = self._store.schema(names[-1])
        with at(place(table)):
            parts = [self._like(name, newest, name.removeprefix(prefix)) for name in names]
        select: exp.Query = parts[0]
        for part in parts[1:]:
            select = exp.union(select, part, distinct=False)
        if self._wants_suffix:
            _hide_suffix(table)
        return self._placed(table, select)

    def _like(self, name: str, wanted: pa.Schema, suffix: str) -> exp.Select:
        """Read a table with the columns of another one, as BigQuery does for tables of one wildcard."""
        schema, columns = self._store.schema(name), list[exp.Expr]()
        for column in wanted:
            held = exp.column(column.name, quoted=True) if column.name in schema.names else exp.Null()
            if column.name in schema.names and not _widens(schema.field(column.name).type, column.type):
                raise BadInput(
                    f"column {column.name} of {name} has another type than in the newest table of the wildcard"
                )
            type_ = exp.DataType.build(duckdb_type(column.type), dialect="duckdb")
            columns.append(exp.alias_(exp.Cast(this=held, to=type_), column.name, quoted=True))
        if self._wants_suffix:
            columns.append(exp.alias_(exp.Literal.string(suffix), _SUFFIX))
        return exp.Select(expressions=columns).from_(exp.Subquery(this=self._files(name)))


def _widens(held: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_list(held) and pa.types.is_list(wanted):
        return _widens(held.value_type, wanted.value_type)
    if pa.types.is_struct(held) and pa.types.is_struct(wanted):
        types = {part.name: part.type for part in members(wanted)}
        return all(_widens(part.type, types[part.name]) for part in members(held) if part.name in types)
    return held == wanted


def _hide_suffix(table: exp.Table) -> None:
    """`SELECT *` of a wildcard gives no _TABLE_SUFFIX."""
    select = table.find_ancestor(exp.Select)
    if select is None:
        return
    own = {table.alias_or_name}
    for item in select.expressions:
        star = item.this if isinstance(item, exp.Column) and item.table in own else item
        if isinstance(star, exp.Star):
            star.set("except_", [*(star.args.get("except_") or []), exp.to_identifier(_SUFFIX)])
