"""Arrays and aggregates: elements count from 0 or 1 as asked, an array may be gathered in part, NULL stays out."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from questline_core.errors import BadInput
from questline_core.warehouse.rules.build import Node, Rule, call, operand, refused


def _in(node: exp.In) -> Node:
    unnest = node.args.get("unnest")
    if unnest is None:
        return node
    items = exp.Select(expressions=[call("unnest", unnest.expressions[0])])
    return exp.In(this=node.this, query=exp.Subquery(this=items))


def _element(node: exp.Bracket) -> Node:
    index = node.expressions[0]
    if len(node.expressions) != 1 or index.is_string:
        raise refused("fields of JSON in […]", "an array takes a number, OFFSET(…) or SAFE_OFFSET(…)")
    if node.args.get("offset") == 1:
        index = exp.Sub(this=exp.Paren(this=index), expression=exp.convert(1))
    return exp.Paren(this=call("gsql_safe_at" if node.args.get("safe") else "gsql_at", node.this, index))


def _array_agg(node: exp.ArrayAgg) -> Node:
    kept, limit, ignore = node.this, None, isinstance(node.parent, exp.IgnoreNulls)
    if isinstance(kept, exp.Limit):
        kept, limit = kept.this, kept.expression
    items: Node = call("list", kept)
    if limit is None and not ignore:
        return items
    if isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        raise refused("ARRAY_AGG(… LIMIT or IGNORE NULLS) OVER (…)")
    if ignore:
        items = _present(items, kept)
    return items if limit is None else call("list_slice", items, 1, limit)


def _present(items: Node, kept: Node) -> Node:
    """Leave NULL out of what an aggregate gathers."""
    value = kept.this if isinstance(kept, exp.Order) else kept
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    present = exp.Not(this=exp.Is(this=operand(value.copy()), expression=exp.Null()))
    return exp.Filter(this=items, expression=exp.Where(this=present))


def _nulls(node: exp.IgnoreNulls | exp.RespectNulls) -> Node:
    # An ARRAY_AGG has been replaced already, by a call or a filter that knows about NULL.
    return node if isinstance(node.this, exp.AggFunc) else node.this


def _count_if(node: exp.CountIf) -> Node:
    if isinstance(node.this, exp.Distinct):
        raise refused("COUNTIF(DISTINCT …)")
    count = exp.Count(this=exp.Star(), big_int=True)
    return exp.Filter(this=count, expression=exp.Where(this=node.this))


def _count(node: exp.Count) -> Node:
    if isinstance(node.this, exp.Distinct) and len(node.this.expressions) > 1:
        raise BadInput("COUNT(DISTINCT …) takes one value")
    return node


def _string_agg(node: exp.GroupConcat) -> Node:
    if not isinstance(node.this, exp.Limit):
        return node
    if isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        raise refused("STRING_AGG(… LIMIT n) OVER (…)")
    kept, limit = node.this.this, node.this.expression
    items = _present(call("list", kept), kept)
    return call("array_to_string", call("list_slice", items, 1, limit), node.args.get("separator") or ",")


def _quantiles(node: exp.ApproxQuantiles) -> Node:
    if not isinstance(node.expression, exp.Literal):
        raise refused("APPROX_QUANTILES with a number that is not written out")
    count = int(node.expression.name)
    steps = [exp.Literal.number(repr(i / count)) for i in range(count + 1)]
    return call("quantile_disc", node.this, exp.Array(expressions=steps))


def _concat(node: exp.ArrayConcat) -> Node:
    joined = node.this
    for array in node.expressions:
        joined = exp.DPipe(this=joined, expression=array)
    return exp.Paren(this=joined)


RULES: Mapping[type[Node], Rule] = {
    exp.In: _in,
    exp.Bracket: _element,
    exp.ArrayAgg: _array_agg,
    exp.IgnoreNulls: _nulls,
    exp.RespectNulls: _nulls,
    exp.CountIf: _count_if,
    exp.Count: _count,
    exp.GroupConcat: _string_agg,
    exp.ApproxQuantiles: _quantiles,
    exp.ArrayConcat: _concat,
}
