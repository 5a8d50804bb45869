"""Subqueries over one array, such as a value of `event_params`, as functions on lists.

DuckDB would join the table with its own arrays, which takes some sixty times longer on a million events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from questline_core.warehouse.rules.build import Node, Rule, call, cast

_AGGREGATES: Mapping[type[Node], str] = {
    exp.Max: "max",
    exp.Min: "min",
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.LogicalOr: "bool_or",
    exp.LogicalAnd: "bool_and",
}
_PLAIN = {"expressions", "from_", "where"}
_NO_FUNCTION = (exp.Query, exp.Window, exp.Star, exp.Distinct, exp.Filter, exp.Unnest)


def _scalar(node: exp.Subquery) -> Node:
    select = node.this
    if isinstance(node.parent, (exp.From, exp.Join, exp.CTE, exp.In)) or not _is_plain(select):
        return node
    [value] = select.expressions
    found = _Found(select)
    value = value.this if isinstance(value, exp.Alias) else value
    aggregates = list(value.find_all(exp.AggFunc))
    if not aggregates:
        return call("gsql_only", found.values(value))
    if any(type(aggregate) not in _AGGREGATES and not _counts_all(aggregate) for aggregate in aggregates):
        return node
    return _aggregated(value, found) or node


def _exists(node: exp.Exists) -> Node:
    if not _is_plain(node.this) or node.this.find(exp.AggFunc):
        return node
    return exp.Paren(this=exp.GT(this=_Found(node.this).count(), expression=cast(exp.convert(0), "BIGINT")))


def _is_plain(select: Any) -> bool:
    """Tell whether this is a SELECT of one value from one UNNEST, with a WHERE at most, that a lambda can hold."""
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return False
    if {name for name, value in select.args.items() if value} - _PLAIN:
        return False
    source = select.args["from_"].this if select.args.get("from_") else None
    if not isinstance(source, exp.Unnest) or source.args.get("offset") or len(source.expressions) != 1:
        return False
    inside = [*select.expressions, *([select.args["where"]] if select.args.get("where") else [])]
    return not any(_blocks(part) for whole in inside for part in whole.walk())


def _blocks(part: Node) -> bool:
    return isinstance(part, _NO_FUNCTION) and not (isinstance(part, exp.Star) and isinstance(part.parent, exp.Count))


def _counts_all(aggregate: Node) -> bool:
    return isinstance(aggregate, exp.Count) and isinstance(aggregate.this, exp.Star)


def _aggregated(value: Node, found: _Found) -> Node | None:
    holder = exp.Paren(this=value.copy())
    for aggregate in list(holder.find_all(exp.AggFunc)):
        if aggregate.find_ancestor(exp.AggFunc):
            return None
        if _counts_all(aggregate):
            aggregate.replace(found.count())
        else:
            name = _AGGREGATES[type(aggregate)]
            aggregate.replace(call("list_aggregate", found.values(aggregate.this), name))
    left = holder.find_all(exp.Column)
    return None if any(found.is_item(column) for column in left) else holder


class _Found:
    """The elements of the array that the WHERE lets through."""

    def __init__(self, select: exp.Select) -> None:
        unnest, where = select.args["from_"].this, select.args.get("where")
        self._name = unnest.args["alias"].columns[0]
        self._items: Node = unnest.expressions[0].copy()
        if where:
            self._items = call("list_filter", self._items, self._lambda(where.this))

    def values(self, value: Node) -> Node:
        """Give a value for each element."""
        return call("list_transform", self._items.copy(), self._lambda(value))

    def count(self) -> Node:
        """Count the elements."""
        nothing = cast(exp.convert(0), "BIGINT")
        return exp.Coalesce(this=call("len", self._items.copy()), expressions=[nothing])

    def is_item(self, column: exp.Column) -> bool:
        """Tell whether a column is the element or a field of it, and not inside of a lambda."""
        first = column.parts[0].name.lower()
        return first == self._name.name.lower() and not column.find_ancestor(exp.Lambda)

    def _lambda(self, body: Node) -> exp.Lambda:
        return exp.Lambda(this=body.copy(), expressions=[self._name.copy()])


RULES: Mapping[type[Node], Rule] = {exp.Subquery: _scalar, exp.Exists: _exists}
