"""The shape of a query: what UNNEST, JOIN … USING and GROUP BY mean, and how columns without a name are called."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from questline_core.warehouse.rules.build import Node, Rule, call, refused


def _unnest(node: exp.Unnest) -> Node:
    if isinstance(node.parent, exp.In):
        return node
    alias, offset = node.args["alias"], node.args.get("offset")
    if not offset:
        return node
    array, name = node.expressions[0], alias.columns[0]
    position = exp.Sub(this=call("generate_subscripts", array.copy(), 1), expression=exp.convert(1))
    offset_name = offset if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
    columns: list[Node] = [
        exp.Alias(this=call("unnest", array), alias=name),
        exp.Alias(this=position, alias=offset_name),
    ]
    return exp.Subquery(
        this=exp.Select(expressions=columns), alias=exp.TableAlias(this=exp.to_identifier(f"unnest_{name.name}"))
    )


def _join(node: exp.Join) -> Node:
    if node.side and not node.args.get("on") and not node.args.get("using") and isinstance(node.this, exp.Subquery):
        node.set("on", exp.true())
    return node


def _select(node: exp.Select) -> Node:
    if node.args.get("kind") == "STRUCT" and not all(map(_has_name, node.expressions)):
        raise refused("SELECT AS STRUCT with a column that has no name", "name it with AS")
    _group_by_alias(node)
    _using_first(node)
    return node


def _group_by_alias(node: exp.Select) -> None:
    """GROUP BY x means the result column x when there is one; DuckDB takes a table's column x first."""
    group = node.args.get("group")
    if group is None:
        return
    aliases = {item.alias.lower(): item.this for item in node.expressions if isinstance(item, exp.Alias)}
    for item in group.expressions:
        if isinstance(item, exp.Column) and not item.table and item.name.lower() in aliases:
            item.replace(aliases[item.name.lower()].copy())


def _using_first(node: exp.Select) -> None:
    """`SELECT *` of a join with USING gives the shared columns first."""
    names = [name.name for join in node.args.get("joins") or [] for name in join.args.get("using") or []]
    for star in [item for item in node.expressions if isinstance(item, exp.Star)]:
        left_out = {item.name.lower() for item in star.args.get("except_") or []}
        shared = [name for name in dict.fromkeys(names) if name.lower() not in left_out]
        if shared and not star.args.get("replace"):
            rest = exp.Star(except_=[*(star.args.get("except_") or []), *(exp.to_identifier(name) for name in shared)])
            where = node.expressions.index(star)
            columns = [exp.column(name) for name in shared]
            node.set("expressions", [*node.expressions[:where], *columns, rest, *node.expressions[where + 1 :]])


def name_columns(tree: exp.Query) -> None:
    """Call result columns without a name f0_, f1_ and so on, as BigQuery does."""
    select: Node = tree
    while not isinstance(select, exp.Select):
        select = select.this
    unnamed = [item for item in select.expressions if not _has_name(item)]
    for index, item in enumerate(unnamed):
        item.replace(exp.Alias(this=item.copy(), alias=exp.to_identifier(f"f{index}_")))


def _has_name(item: Node) -> bool:
    return isinstance(item, (exp.Alias, exp.Aliases, exp.Column, exp.Dot)) or item.is_star


RULES: Mapping[type[Node], Rule] = {exp.Unnest: _unnest, exp.Join: _join, exp.Select: _select}
