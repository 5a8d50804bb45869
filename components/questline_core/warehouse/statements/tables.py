"""Make and drop tables and views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import fit, googlesql_types
from questline_core.warehouse.googlesql import checked, similar, table_name
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.statements.reader import Reader
from questline_core.warehouse.table import Change
from questline_core.warehouse.types import arrow_type

_NOTES = frozenset({"description", "labels", "friendly_name"})
"""Options that change nothing of what a query gives; they are read and not kept."""


def create(reader: Reader, text: str, tree: exp.Create) -> None:
    """Run CREATE TABLE, CREATE VIEW or CREATE SCHEMA.

    Raises:
        BadInput: it is there already, or an option has no counterpart here.
    """
    if tree.kind == "SCHEMA":
        return  # A dataset is there with its first table.
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    name = table_name(table)
    properties = _properties(tree)
    if tree.kind == "VIEW":
        _create_view(reader, text, tree, name)
    elif tree.kind == "TABLE":
        if any(isinstance(item, exp.TemporaryProperty) for item in properties):
            reader.relations[name] = _content(reader, text, tree)
        elif _may_make(reader, tree, name):
            _make(reader, name, _content(reader, text, tree), properties)
    else:
        raise BadInput(f"{place(tree)}: CREATE {tree.kind} is not run here; TABLE, VIEW, SCHEMA and MODEL are")


def drop(reader: Reader, _text: str, tree: exp.Drop) -> None:
    """Run DROP TABLE or DROP VIEW.

    Raises:
        BadInput: it is not there.
    """
    for table in tree.args.get("tables") or [tree.this]:
        name = table_name(table)
        if tree.args["kind"] == "TABLE" and name in reader.relations:
            del reader.relations[name]
            continue
        if tree.args["kind"] not in ("TABLE", "VIEW"):
            raise BadInput(f"{place(tree)}: DROP {tree.args['kind']} is not run here; TABLE, VIEW and MODEL are")
        here = reader.store.tables() if tree.args["kind"] == "TABLE" else reader.store.views()
        if name not in here:
            if tree.args.get("exists"):
                continue
            kind = tree.args["kind"].lower()
            raise BadInput(f"{place(table)}: there is no {kind} {name}{similar(name, here, f'the {kind}s are')}")
        with reader.store.lock:
            if tree.args["kind"] == "TABLE":
                reader.store.writer(name).drop()
            else:
                reader.store.drop_view(name)


def truncate(reader: Reader, _text: str, tree: exp.TruncateTable) -> None:
    """Run TRUNCATE TABLE."""
    for table in tree.expressions:
        name = known(reader, table)
        with reader.store.lock:
            files = {part.file: range(part.rows) for part in reader.store.manifest(name).parts}
            reader.store.writer(name).change(lambda files=files: Change(files, None))  # type: ignore[misc]


def known(reader: Reader, table: exp.Table) -> str:
    """Name a table that is to be changed.

    Raises:
        BadInput: there is no such table, or it is a view or a temporary table.
    """
    name, here = table_name(table), reader.store.tables()
    if name not in here:
        if name in reader.relations or name in reader.store.views():
            raise BadInput(f"{place(table)}: {name} cannot be changed; only tables of a dataset can")
        raise BadInput(f"{place(table)}: there is no table {name}{similar(name, here, 'the tables are')}")
    return name


def _properties(tree: exp.Create) -> Sequence[exp.Expr]:
    properties = tree.args.get("properties")
    items: Sequence[exp.Expr] = properties.expressions if properties else ()
    for item in items:
        if isinstance(item, (exp.PartitionedByProperty, exp.ClusterProperty, exp.TemporaryProperty)):
            continue
        if not isinstance(item, exp.Property) or item.name.lower() not in _NOTES:
            what = item.name or item.key.upper()
            raise BadInput(
                f"{place(tree)}: the option {what} is not kept here; {', '.join(sorted(_NOTES))} are allowed"
            )
    return items


def _create_view(reader: Reader, text: str, tree: exp.Create, name: str) -> None:
    if name in reader.store.tables():
        raise BadInput(f"{place(tree)}: {name} is a table")
    if name in reader.store.views() and not tree.args.get("replace"):
        if tree.args.get("exists"):
            return
        raise BadInput(f"{place(tree)}: the view {name} is there already; write CREATE OR REPLACE VIEW")
    if isinstance(tree.this, exp.Schema):
        raise BadInput(f"{place(tree)}: name a view's columns in its query, with AS")
    if next(tree.expression.find_all(exp.Parameter), None):
        raise BadInput(f"{place(tree)}: a view holds no parameters")
    reader.answer(checked(text, exp.select("*").from_(exp.Subquery(this=tree.expression.copy())).limit(0)))
    with reader.store.lock:
        reader.store.put_view(name, tree.expression.sql(dialect="bigquery", comments=False))


def _may_make(reader: Reader, tree: exp.Create, name: str) -> bool:
    if name in reader.store.views():
        raise BadInput(f"{place(tree)}: {name} is a view; drop it first")
    if name in reader.store.tables() and not tree.args.get("replace"):
        if tree.args.get("exists"):
            return False
        raise BadInput(f"{place(tree)}: the table {name} is there already; write CREATE OR REPLACE TABLE")
    return True


def _content(reader: Reader, text: str, tree: exp.Create) -> pa.Table:
    columns = _columns(tree.this) if isinstance(tree.this, exp.Schema) else None
    query = tree.expression
    if not isinstance(query, exp.Query):
        if columns is None:
            raise BadInput(f"{place(tree)}: a table needs columns or AS SELECT …")
        return columns.empty_table()
    rows = reader.answer(checked(text, query.copy()))
    if columns is None:
        return rows
    if len(columns) != rows.num_columns:
        raise BadInput(f"{place(tree)}: the query gives {rows.num_columns} columns, the table has {len(columns)}")
    return fit(rows.rename_columns(columns.names), columns, "the new table")


def _columns(schema: exp.Schema) -> pa.Schema:
    columns: list[pa.Field[Any]] = []
    for column in schema.expressions:
        if not isinstance(column, exp.ColumnDef):
            raise BadInput(
                f"{place(column)}: {column.key.upper()} is not kept here; give columns as name TYPE [NOT NULL]"
            )
        required = False
        for constraint in column.args.get("constraints") or []:
            required |= isinstance(constraint.kind, exp.NotNullColumnConstraint)
            if not isinstance(constraint.kind, (exp.NotNullColumnConstraint, exp.Properties)):
                raise BadInput(f"{place(column)}: {column.name} has more than a type, NOT NULL and OPTIONS")
        try:
            columns.append(pa.field(column.name, arrow_type(column.args["kind"]), nullable=not required))
        except BadInput as error:
            raise BadInput(f"{place(column)}: {error}") from None
    return pa.schema(columns)


def _make(reader: Reader, name: str, rows: pa.Table, properties: Sequence[exp.Expr]) -> None:
    partition, cluster = "", list[str]()
    for item in properties:
        if isinstance(item, exp.PartitionedByProperty):
            partition = item.this.sql(dialect="bigquery")
            if missing := [part.name for part in item.find_all(exp.Identifier) if part.name not in rows.column_names]:
                raise BadInput(f"{place(item)}: PARTITION BY {partition} names no column of the table: {missing[0]}")
        elif isinstance(item, exp.ClusterProperty):
            cluster = [column.name for column in item.expressions]
    with reader.store.lock:
        writer = reader.store.writer(name)
        writer.replace(googlesql_types(rows))
        writer.describe(partition, cluster)
