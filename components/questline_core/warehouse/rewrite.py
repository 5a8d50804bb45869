"""Apply the rules to a tree of GoogleSQL, and tell where in the text something stands that no rule can translate."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.rules import arrays, shape, structs, subqueries, times, values
from questline_core.warehouse.rules.build import Node, Rule

_RULES: Mapping[type[Node], Rule] = {
    **times.RULES,
    **values.RULES,
    **arrays.RULES,
    **shape.RULES,
    **structs.RULES,
    **subqueries.RULES,
}


def rewrite(tree: exp.Query) -> None:
    """Make a query mean in DuckDB what it means in GoogleSQL; from its leaves up, in place.

    Raises:
        BadInput: something has no counterpart in DuckDB; tells what and where.
    """
    shape.name_columns(tree)
    structs.name_fields(tree)
    for node in reversed(list(tree.walk())):
        rule = _RULES.get(type(node))
        if rule is None:
            continue
        position = place(node)
        try:
            new = rule(node)
        except BadInput as error:
            raise BadInput(f"{position}: {error}") from None
        if new is not node:
            node.replace(new)


def place(node: Node) -> str:
    """Tell where in the text a node begins, as exactly as it is known."""
    known = [part.meta for part in node.walk() if "line" in part.meta]
    if not known:
        return place(node.parent) if node.parent else "line 1, column 1"
    first = min(known, key=lambda meta: meta["start"])
    width = first["end"] - first["start"]
    return f"line {first['line']}, column {first['col'] - width}"
