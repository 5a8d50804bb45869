"""Change rows: INSERT, UPDATE, DELETE and MERGE, each as one query that tells which rows go and which come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import fit
from questline_core.warehouse.googlesql import checked
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.statements.reader import FILE, ROW, Reader
from questline_core.warehouse.statements.tables import known
from questline_core.warehouse.table import Change
from questline_core.warehouse.types import duckdb_type

_KEEP = "_questline_keep"
_TIMES = (pa.date32(), pa.timestamp("us", "UTC"), pa.timestamp("us"), pa.time64("us"))


def insert(reader: Reader, text: str, tree: exp.Insert) -> None:
    """Run INSERT [INTO] table [(columns)] VALUES … or SELECT …."""
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    name = known(reader, table)
    schema = reader.store.schema(name)
    names = [column.name for column in tree.this.expressions] if isinstance(tree.this, exp.Schema) else schema.names
    fields = [_field(schema, column, tree) for column in names]
    query = tree.expression
    if isinstance(query, exp.Values):
        query = _values(query, fields, tree)
    rows = reader.answer(checked(text, query.copy()))
    with reader.store.lock:
        reader.store.writer(name).append(_fitted(rows, fields, schema, name, tree), None)


def delete(reader: Reader, text: str, tree: exp.Delete) -> None:
    """Run DELETE [FROM] table WHERE …."""
    table = tree.this or tree.args["tables"][0]
    select = exp.select(*_places(table)).from_(table.copy())
    select.set("where", _where(tree))
    _change(reader, text, table, [select], tree)


def update(reader: Reader, text: str, tree: exp.Update) -> None:
    """Run UPDATE table SET … [FROM …] WHERE …."""
    table = tree.this
    schema = reader.store.schema(known(reader, table))
    select = exp.select(*_places(table), *_set(tree.expressions, table, schema)).from_(table.copy())
    if source := tree.args.get("from_"):
        select = select.join(source.this.copy(), join_type="cross")
        select.set("joins", [*select.args["joins"], *(join.copy() for join in source.args.get("joins") or [])])
    select.set("where", _where(tree))
    _change(reader, text, table, [select], tree)


def merge(reader: Reader, text: str, tree: exp.Merge) -> None:
    """Run MERGE: for each row the first WHEN whose condition holds."""
    table = tree.this
    schema = reader.store.schema(known(reader, table))
    _change(reader, text, table, list(_branches(tree, table, schema)), tree)


def _branches(tree: exp.Merge, table: exp.Table, schema: pa.Schema) -> Iterator[exp.Select]:
    earlier = dict[tuple[bool, bool], list[exp.Expr]]()
    for when in tree.args["whens"].expressions:
        kind = (bool(when.args.get("matched")), bool(when.args.get("source")))
        condition = when.args.get("condition") or exp.true()
        before = earlier.setdefault(kind, [])
        holds = exp.and_(condition.copy(), *(exp.not_(_sure(one)) for one in before))
        before.append(condition)
        yield _branch(tree, table, schema, when, holds)


def _branch(tree: exp.Merge, table: exp.Table, schema: pa.Schema, when: exp.When, holds: exp.Expr) -> exp.Select:
    source, on, then = tree.args["using"], tree.args["on"], when.args["then"]
    if isinstance(then, exp.Insert):
        there = exp.Exists(this=exp.select("1").from_(table.copy()).where(on.copy()))
        nowhere = [exp.alias_(exp.null(), FILE), exp.alias_(exp.null(), ROW)]
        kept = _inserted(then, schema, tree)
        return exp.select(*nowhere, *kept).from_(source.copy()).where(exp.and_(exp.not_(there), holds))
    kept = _set(then.expressions, table, schema) if isinstance(then, exp.Update) else []
    select = exp.select(*_places(table), *kept).from_(table.copy())
    if when.args.get("matched"):
        return select.join(source.copy(), on=on.copy()).where(holds)
    there = exp.Exists(this=exp.select("1").from_(source.copy()).where(on.copy()))
    return select.where(exp.and_(exp.not_(there), holds))


def _inserted(then: exp.Insert, schema: pa.Schema, tree: exp.Expr) -> list[exp.Expr]:
    if not isinstance(then.expression, exp.Tuple):
        if isinstance(then.this, exp.Tuple):
            raise BadInput(f"{place(tree)}: a list of columns is to be followed by VALUES")
        return [exp.alias_(exp.true(), _KEEP), *(exp.column(name, quoted=True) for name in schema.names)]
    names = [column.name for column in then.this.expressions] if isinstance(then.this, exp.Tuple) else schema.names
    values = then.expression.expressions
    if len(values) != len(names):
        raise BadInput(f"{place(then)}: INSERT names {len(names)} columns and gives {len(values)} values")
    given = {_field(schema, name, tree).name: value for name, value in zip(names, values, strict=True)}
    return _row(schema, {name: _coerced(value, schema.field(name).type) for name, value in given.items()})


def _set(items: Sequence[exp.Expr], table: exp.Table, schema: pa.Schema) -> list[exp.Expr]:
    alias = table.alias_or_name
    row: dict[str, exp.Expr] = {name: exp.column(name, table=alias, quoted=True) for name in schema.names}
    for item in items:
        target = item.this
        if not isinstance(target, exp.Column) or target.table.lower() not in ("", alias.lower()):
            raise BadInput(f"{place(item)}: SET takes a column of the table, not a field of one; set the whole column")
        field = _field(schema, target.name, item)
        row[field.name] = _coerced(item.expression, field.type)
    return _row(schema, row)


def _row(schema: pa.Schema, values: dict[str, exp.Expr]) -> list[exp.Expr]:
    columns = [values.get(name, exp.null()) for name in schema.names]
    named = [exp.alias_(value.copy(), name, quoted=True) for name, value in zip(schema.names, columns, strict=True)]
    return [exp.alias_(exp.true(), _KEEP), *named]


def _places(table: exp.Table) -> list[exp.Expr]:
    return [exp.column(name, table=table.alias_or_name) for name in (FILE, ROW)]


def _where(tree: exp.Expr) -> exp.Where:
    where = tree.args.get("where")
    if where is None:
        raise BadInput(f"{place(tree)}: {tree.key.upper()} needs a WHERE; WHERE TRUE takes all rows")
    return where.copy()  # type: ignore[no-any-return]


def _sure(condition: exp.Expr) -> exp.Expr:
    return exp.Coalesce(this=condition.copy(), expressions=[exp.false()])


def _change(reader: Reader, text: str, table: exp.Table, branches: Sequence[exp.Select], tree: exp.Expr) -> None:
    name = known(reader, table)
    schema = reader.store.schema(name)

    def find() -> Change:
        gone, new = dict[str, list[int]](), list[pa.Table]()
        for branch in branches:
            rows = reader.answer(checked(text, branch), target=name)
            _mark(gone, rows, tree)
            if _KEEP in rows.column_names:
                kept = rows.select(rows.column_names[3:])
                new.append(_fitted(kept, list(schema), schema, name, tree))
        return Change(gone, pa.concat_tables(new) if new else None)

    with reader.store.lock:
        reader.store.writer(name).change(find)


def _mark(gone: dict[str, list[int]], rows: pa.Table, tree: exp.Expr) -> None:
    places = rows.select([FILE, ROW]).filter(pc.is_valid(rows.column(ROW)))
    for where in places.to_pylist():
        gone.setdefault(Path(where[FILE]).name, []).append(where[ROW])
    for taken in gone.values():
        if len(set(taken)) != len(taken):
            raise BadInput(f"{place(tree)}: {tree.key.upper()} must match at most one source row for each target row")


def _values(values: exp.Values, fields: Sequence[pa.Field[Any]], tree: exp.Expr) -> exp.Query:
    query: exp.Query | None = None
    for row in values.expressions:
        items = row.expressions if isinstance(row, exp.Tuple) else [row]
        if len(items) != len(fields):
            raise BadInput(f"{place(row)}: {len(items)} values for {len(fields)} columns")
        columns = [
            exp.alias_(_coerced(item, field.type), f"c{index}")
            for index, (item, field) in enumerate(zip(items, fields, strict=True))
        ]
        select = exp.Select(expressions=columns)
        query = select if query is None else exp.union(query, select, distinct=False)
    if query is None:
        raise BadInput(f"{place(tree)}: VALUES has no rows")
    return query


def _coerced(value: exp.Expr, type_: pa.DataType) -> exp.Expr:
    """Make a literal what its column is: GoogleSQL takes a text for a date there, and a whole number for FLOAT64."""
    if isinstance(value, exp.Paren):
        return _coerced(value.this, type_)
    if isinstance(value, exp.Var) and value.name.upper() == "DEFAULT":
        value = exp.null()
    if isinstance(value, exp.Null) or (isinstance(value, exp.Literal) and value.is_string and type_ in _TIMES):
        return exp.Cast(this=value.copy(), to=exp.DataType.build(duckdb_type(type_), dialect="duckdb"))
    return value.copy()


def _fitted(rows: pa.Table, fields: Sequence[pa.Field[Any]], schema: pa.Schema, name: str, tree: exp.Expr) -> pa.Table:
    if rows.num_columns != len(fields):
        raise BadInput(f"{place(tree)}: {rows.num_columns} columns are given for {len(fields)}")
    columns = [
        column.cast(pa.float64()) if field.type == pa.float64() and column.type == pa.int64() else column
        for field, column in zip(fields, rows.columns, strict=True)
    ]
    columns = [
        pa.nulls(len(column), field.type) if column.null_count == len(column) else column
        for field, column in zip(fields, columns, strict=True)
    ]
    try:
        return fit(pa.table(columns, names=[field.name for field in fields]), schema, name)
    except BadInput as error:
        raise BadInput(f"{place(tree)}: {error}") from None


def _field(schema: pa.Schema, name: str, node: exp.Expr) -> pa.Field[Any]:
    for field in schema:
        if field.name.lower() == name.lower():
            return field
    raise BadInput(f"{place(node)}: there is no column {name}; there are {', '.join(schema.names)}")
