"""Structs: GoogleSQL matches their fields by place, DuckDB by name, so that every field gets its name or is refused."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from questline_core.warehouse.rules.build import Node, Rule, refused


def name_fields(tree: exp.Query) -> None:
    """Give the structs of each array the field names of the first one."""
    for array in tree.find_all(exp.Array):
        if array.expressions:
            for other in array.expressions[1:]:
                _take_names(array.expressions[0], other)


def _take_names(first: Node, other: Node) -> None:
    if isinstance(first, exp.Array) and isinstance(other, exp.Array) and first.expressions:
        for item in other.expressions:
            _take_names(first.expressions[0], item)
    if isinstance(first, exp.Struct) and isinstance(other, exp.Struct):
        for like, field in zip(first.expressions, list(other.expressions), strict=False):
            _take_names(_value(like), _value(field))
            if _name(like):
                field.replace(exp.PropertyEQ(this=exp.to_identifier(_name(like)), expression=_value(field).copy()))


def _name(field: Node) -> str:
    named = field.this if isinstance(field, exp.PropertyEQ) else field
    return str(named.name) if isinstance(named, (exp.Identifier, exp.Column, exp.Dot)) else ""


def _value(field: Node) -> Node:
    return field.expression if isinstance(field, exp.PropertyEQ) else field


def _struct(node: exp.Struct) -> Node:
    if not all(map(_name, node.expressions)):
        raise refused("a STRUCT with a field that has no name", "write STRUCT(value AS name)")
    if isinstance(node.parent, (exp.Binary, exp.In)) and not isinstance(node.parent, (exp.Dot, exp.PropertyEQ)):
        raise refused("comparing STRUCTs", "compare their fields")
    fields = [exp.PropertyEQ(this=exp.to_identifier(_name(f)), expression=_value(f)) for f in node.expressions]
    return exp.Struct(expressions=fields)


RULES: Mapping[type[Node], Rule] = {exp.Struct: _struct}
