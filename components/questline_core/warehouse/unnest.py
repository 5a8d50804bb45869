"""What UNNEST brings into scope: fields that are named without their element, and `*` over elements.

In GoogleSQL the fields of an array's STRUCTs can be named alone (`key` for `p.key`), also when UNNEST has no alias, and
`SELECT *` gives the fields and not the element. DuckDB knows neither, so names are made whole here, from the types of
tables and the shape of queries. Types that are not known lead to a refusal where they matter, never to a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.columns import members
from questline_core.warehouse.rewrite import place
from questline_core.warehouse.types import arrow_type

Columns: TypeAlias = "Mapping[str, pa.DataType | None]"
Schemas: TypeAlias = Callable[[exp.Table], "Columns | None"]
"""Gives the columns of a table; None when they are not known."""

_SCALAR_LISTS = (exp.Split, exp.GenerateSeries, exp.GenerateDateArray, exp.RegexpExtractAll)
_OF_ALIASES = (exp.Group, exp.Order, exp.Having, exp.Qualify)


def name_fields_of_elements(tree: exp.Query, schemas: Schemas) -> None:
    """Give every UNNEST a name and every field its element, in place.

    Raises:
        BadInput: a name is a field of two elements, or `*` meets an element of unknown type; tells where.
    """
    unnests = [node for node in tree.find_all(exp.Unnest) if not isinstance(node.parent, exp.In)]
    if not unnests:
        return
    for number, unnest in enumerate(unnests):
        if unnest.args.get("alias") is None or not unnest.args["alias"].columns:
            name = exp.to_identifier(f"_element{number}")
            unnest.set("alias", exp.TableAlias(columns=[name]))
            unnest.meta["unnamed"] = True
    scope = _Scope(schemas)
    for column in list(tree.find_all(exp.Column)):
        if not column.is_star:
            scope.complete(column)
    for select in list(tree.find_all(exp.Select)):
        scope.spread(select)


class _Scope:
    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._known: dict[int, tuple[exp.Expr, Columns | None]] = {}
        """By id of the source, which is kept with its columns so that no other node takes its id."""

    def complete(self, column: exp.Column) -> None:
        """Put the element before a field that stands alone."""
        first, unknown = column.parts[0].name, False
        for select, inside in _selects_around(column):
            aliases = {item.alias.lower() for item in select.expressions if isinstance(item, exp.Alias)}
            if isinstance(inside, _OF_ALIASES) and first.lower() in aliases:
                return
            owners, others = self._owners(column, select)
            if len(owners) > 1 or (owners and others):
                raise BadInput(f"{place(column)}: the column name {first} is ambiguous; say whose it is")
            if unknown and (owners or others):
                raise BadInput(
                    f"{place(column)}: {first} may be a field of an element of unknown type; say whose it is"
                )
            if owners:
                _put_before(owners[0], column)
            if owners or others:
                return
            unknown |= any(map(self._is_unknown, _sources(select, column)))

    def _owners(self, column: exp.Column, select: exp.Select) -> tuple[list[exp.Unnest], bool]:
        """List the elements that have such a field, and tell whether another source has the name."""
        first, owners, others = column.parts[0].name.lower(), list[exp.Unnest](), False
        for source in _sources(select, column):
            if isinstance(source, exp.Unnest):
                if first in (_element(source).lower(), _offset(source)):
                    return [], True
                if first in _lower(self._fields(source)):
                    owners.append(source)
            elif source.alias_or_name.lower() == first and len(column.parts) > 1:
                return [], True
            else:
                others |= first in _lower(self._columns(source) or ())
        return owners, others

    def spread(self, select: exp.Select) -> None:
        """Write out `*` where an element is among the sources."""
        sources = list(_sources(select, select))
        if not any(isinstance(source, exp.Unnest) for source in sources):
            return
        for star in [item for item in select.expressions if isinstance(item, exp.Star)]:
            if any(star.args.get(key) for key in ("except_", "replace", "rename")):
                raise BadInput(
                    f"{place(select)}: * EXCEPT or REPLACE over UNNEST is not supported here; name the columns"
                )
            columns = [column for source in sources for column in self._all_of(source)]
            where = select.expressions.index(star)
            select.set("expressions", [*select.expressions[:where], *columns, *select.expressions[where + 1 :]])
            self._known.clear()

    def _all_of(self, source: exp.Expr) -> Iterator[exp.Expr]:
        if not isinstance(source, exp.Unnest):
            yield exp.Column(this=exp.Star(), table=exp.to_identifier(source.alias_or_name, quoted=True))
            return
        element, type_ = _element(source), self._type(source.expressions[0], source)
        if type_ is None or not pa.types.is_list(type_):
            raise BadInput(f"{place(source)}: the type of these elements is not known here; name their columns, not *")
        if pa.types.is_struct(type_.value_type):
            for field in _names(type_.value_type):
                yield exp.alias_(exp.column(field, table=element, quoted=True), field, quoted=True)
        else:
            yield exp.alias_(exp.column(element), "f0_") if source.meta.get("unnamed") else exp.column(element)
        if offset := source.args.get("offset"):
            yield exp.column(offset.copy() if isinstance(offset, exp.Identifier) else "offset")

    def _is_unknown(self, source: exp.Expr) -> bool:
        """Tell whether a source gives elements of a column whose type is not known."""
        if not isinstance(source, exp.Unnest) or not isinstance(source.expressions[0], (exp.Column, exp.Dot)):
            return False
        return self._type(source.expressions[0], source) is None

    def _fields(self, unnest: exp.Unnest) -> Sequence[str]:
        type_ = self._type(unnest.expressions[0], unnest)
        if type_ is None or not pa.types.is_list(type_) or not pa.types.is_struct(type_.value_type):
            return ()
        return _names(type_.value_type)

    def _columns(self, source: exp.Expr) -> Columns | None:
        # Thousands of questions are about a few sources, and a name made whole changes no columns.
        if id(source) not in self._known:
            self._known[id(source)] = source, self._find_columns(source)
        return self._known[id(source)][1]

    def _find_columns(self, source: exp.Expr) -> Columns | None:
        if isinstance(source, exp.Subquery):
            return self._outputs(source.this)
        if not isinstance(source, exp.Table):
            return None
        clause = None if source.db else _clause(source)
        return self._outputs(clause.this) if clause is not None else self._schemas(source)

    def _outputs(self, query: exp.Expr) -> Columns | None:
        while isinstance(query, (exp.SetOperation, exp.Subquery)):
            query = query.this
        if not isinstance(query, exp.Select):
            return None
        found = dict[str, "pa.DataType | None"]()
        for item in query.expressions:
            if isinstance(item, exp.Star) or (isinstance(item, exp.Column) and item.is_star):
                for source in _sources(query, query):
                    if isinstance(source, exp.Unnest):
                        found |= dict.fromkeys(self._fields(source) or (_element(source),))
                    elif isinstance(item, exp.Star) or source.alias_or_name == item.table:
                        known = self._columns(source)
                        if known is None:
                            return None
                        found |= known
            else:
                value = item.this if isinstance(item, exp.Alias) else item
                found[item.alias_or_name] = self._type(value, item)
        return found

    def _type(self, value: exp.Expr, where: exp.Expr) -> pa.DataType | None:
        """Tell the type of a value as far as it matters: which are lists, and which structs with which fields."""
        if isinstance(value, (exp.Paren, exp.IgnoreNulls, exp.RespectNulls)):
            return self._type(value.this, where)
        if isinstance(value, exp.Literal):
            return pa.string() if value.is_string else pa.int64()
        if isinstance(value, _SCALAR_LISTS):
            return pa.list_(pa.null())
        tell: Mapping[type[exp.Expr], Callable[[Any, exp.Expr], pa.DataType | None]] = {
            exp.Column: self._column_type,
            exp.Dot: lambda dot, _: _field_type(self._type(dot.this, where), dot.expression.name),
            exp.Struct: self._struct_type,
            exp.Array: self._array_type,
            exp.Cast: lambda cast, _: _cast_type(cast.to),
            exp.ArrayAgg: self._gathered_type,
        }
        return tell[type(value)](value, where) if type(value) in tell else None

    def _struct_type(self, value: exp.Struct, where: exp.Expr) -> pa.DataType:
        types = [self._of_field(field, where) or pa.null() for field in value.expressions]
        names = map(_field_name, value.expressions)
        return pa.struct([pa.field(name, type_) for name, type_ in zip(names, types, strict=True)])

    def _gathered_type(self, value: exp.ArrayAgg, where: exp.Expr) -> pa.DataType | None:
        inner = value.this
        while isinstance(inner, (exp.Order, exp.Limit, exp.IgnoreNulls, exp.RespectNulls)):
            inner = inner.this
        type_ = self._type(inner, where)
        return None if type_ is None else pa.list_(type_)

    def _of_field(self, field: exp.Expr, where: exp.Expr) -> pa.DataType | None:
        return self._type(field.expression if isinstance(field, exp.PropertyEQ) else field, where)

    def _array_type(self, value: exp.Array, where: exp.Expr) -> pa.DataType | None:
        if not value.expressions:
            return pa.list_(pa.null())
        first = value.expressions[0]
        if isinstance(first, exp.Query):
            outputs = self._outputs(first)
            if outputs is None:
                return None
            if isinstance(first, exp.Select) and first.args.get("kind") == "STRUCT":
                return pa.list_(pa.struct([pa.field(name, type_ or pa.null()) for name, type_ in outputs.items()]))
            [type_] = outputs.values()
            return None if type_ is None else pa.list_(type_)
        return pa.list_(self._type(first, where) or pa.null())

    def _column_type(self, column: exp.Column, where: exp.Expr) -> pa.DataType | None:
        names = [part.name for part in column.parts]
        for select, _ in _selects_around(where):
            for source in _sources(select, where):
                if source is where:
                    continue
                rest, known = names, dict[str, "pa.DataType | None"]()
                if isinstance(source, exp.Unnest):
                    type_ = self._type(source.expressions[0], source)
                    item = type_.value_type if type_ is not None and pa.types.is_list(type_) else None
                    known = {_element(source): item}
                    if item is not None and pa.types.is_struct(item):
                        known = {field.name: field.type for field in members(item)} | known
                else:
                    known = dict(self._columns(source) or {})
                    if len(names) > 1 and source.alias_or_name.lower() == names[0].lower():
                        rest = names[1:]
                lower = {name.lower(): type_ for name, type_ in known.items()}
                if rest[0].lower() in lower:
                    found = lower[rest[0].lower()]
                    for name in rest[1:]:
                        found = _field_type(found, name)
                    return found
        return None


def _put_before(unnest: exp.Unnest, column: exp.Column) -> None:
    value: exp.Expr = exp.column(column.parts[0].copy(), table=_element(unnest))
    for part in column.parts[1:]:
        value = exp.Dot(this=value, expression=part.copy())
    column.replace(value)


def _selects_around(node: exp.Expr) -> Iterator[tuple[exp.Select, exp.Expr | None]]:
    """List the SELECTs around a node, inner ones first, each with the clause that the node stands in."""
    child, parent = node, node.parent
    while parent is not None:
        if isinstance(parent, exp.Select):
            yield parent, child
        child, parent = parent, parent.parent


def _sources(select: exp.Select, seen_from: exp.Expr) -> Iterator[exp.Expr]:
    """List what a SELECT reads; an UNNEST sees only what stands before it."""
    from_ = select.args.get("from_")
    joins = [*(from_.this.args.get("joins") or []), *(select.args.get("joins") or [])] if from_ else []
    for source in [from_.this, *(join.this for join in joins)] if from_ else []:
        inside = source is seen_from or (seen_from is not select and _holds(source, seen_from))
        if inside:
            return
        yield source


def _holds(source: exp.Expr, node: exp.Expr) -> bool:
    parent: exp.Expr | None = node
    while parent is not None:
        if parent is source:
            return True
        parent = parent.parent
    return False


def _clause(table: exp.Table) -> exp.CTE | None:
    node: exp.Expr | None = table
    while node is not None:
        with_ = node.args.get("with_")
        for clause in with_.expressions if with_ else []:
            if clause.alias == table.name and not _holds(clause, table):
                return clause  # type: ignore[no-any-return]
        node = node.parent
    return None


def _element(unnest: exp.Unnest) -> str:
    return str(unnest.args["alias"].columns[0].name)


def _offset(unnest: exp.Unnest) -> str:
    offset = unnest.args.get("offset")
    return (offset.name.lower() if isinstance(offset, exp.Identifier) else "offset") if offset else ""


def _lower(names: Iterable[str]) -> set[str]:
    return {name.lower() for name in names}


def _names(type_: pa.DataType) -> list[str]:
    return [field.name for field in members(type_)]


def _field_type(type_: pa.DataType | None, name: str) -> pa.DataType | None:
    if type_ is None or not pa.types.is_struct(type_):
        return None
    return next((field.type for field in members(type_) if field.name.lower() == name.lower()), None)


def _field_name(field: exp.Expr) -> str:
    return str((field.this if isinstance(field, exp.PropertyEQ) else field).name)


def _cast_type(to: exp.DataType) -> pa.DataType | None:
    try:
        return arrow_type(to)
    except BadInput:
        return None
