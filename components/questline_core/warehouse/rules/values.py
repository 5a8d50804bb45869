"""Values: numbers are INT64 or FLOAT64, casts round and refuse as GoogleSQL does, text is cut by its rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from questline_core.warehouse.rules.build import Node, Rule, call, cast, operand, refused

_TYPES = frozenset(
    {
        exp.DType.BIGINT,
        exp.DType.DOUBLE,
        exp.DType.TEXT,
        exp.DType.BOOLEAN,
        exp.DType.DATE,
        exp.DType.TIMESTAMP,
        exp.DType.TIMESTAMPTZ,
        exp.DType.BINARY,
        exp.DType.ARRAY,
        exp.DType.STRUCT,
    }
)
_CAST_MACROS: Mapping[Any, str] = {
    exp.DType.BIGINT: "int64",
    exp.DType.DOUBLE: "float64",
    exp.DType.BOOLEAN: "bool",
    exp.DType.TEXT: "string",
}
_PLAIN_NUMBER_IN = (
    exp.Limit,
    exp.Offset,
    exp.Interval,
    exp.Ordered,
    exp.Group,
    exp.WindowSpec,
    exp.DataTypeParam,
    exp.UnixToTime,
    exp.ApproxQuantiles,
    exp.StrToDate,
    exp.RegexpExtract,
    exp.RegexpExtractAll,
)


def _number(node: exp.Literal) -> Node:
    # DuckDB takes 5 for an INTEGER, which overflows early, and 1.5 for a DECIMAL, which is exact where FLOAT64 is not.
    if node.is_string or isinstance(node.parent, _PLAIN_NUMBER_IN):
        return node
    text = node.name.lower()
    if text.isdigit():
        return cast(node.copy(), "BIGINT")
    return node if "e" in text else exp.Literal.number(f"{text}e0")


def _negative(node: exp.Neg) -> Node:
    # The lowest INT64 has no positive counterpart, so the sign belongs to the number.
    if isinstance(node.this, exp.Cast) and isinstance(node.this.this, exp.Literal):
        return cast(exp.Literal(this=f"-{node.this.name}", is_string=False), "BIGINT")
    return node


def _type(node: exp.DataType) -> Node:
    if node.this not in _TYPES:
        raise refused(f"the type {node.this.value}", "use FLOAT64 or INT64" if "DECIMAL" in node.this.value else "")
    return node


def _cast(node: exp.Cast) -> Node:
    if node.args.get("format"):
        raise refused("CAST … FORMAT", "use FORMAT_DATE or FORMAT_TIMESTAMP")
    safe = isinstance(node, exp.TryCast)
    macro = _CAST_MACROS.get(node.to.this)
    if macro is None:
        return node
    return call(f"gsql_safe_{macro}" if safe and macro != "string" else f"gsql_{macro}", node.this)


def _on_float(node: Node) -> Node:
    # GoogleSQL rounds to FLOAT64, also what is an INT64.
    node.set("this", cast(node.this, "DOUBLE"))
    if node.args.get("decimals"):
        node.set("decimals", cast(node.args["decimals"], "INTEGER"))
    return node


def _like(node: exp.Like) -> Node:
    pattern = node.expression
    if isinstance(pattern, exp.Any):
        raise refused("LIKE ANY", "write several LIKE joined by OR")
    if isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
        return node
    return exp.Paren(this=exp.Escape(this=node.copy(), expression=exp.Literal.string("\\")))


def _substring(node: exp.Substring) -> Node:
    rest = cast(exp.convert(2**31 - 1), "BIGINT")
    return call("gsql_substr", node.this, node.args["start"], node.args.get("length") or rest)


def _pad(node: exp.Pad) -> Node:
    node.set("expression", cast(node.expression, "INTEGER"))
    return node


def _no_position(node: exp.RegexpExtract | exp.RegexpExtractAll | exp.StrPosition) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise refused("a position or an occurrence here")
    return node


def _json_value(node: exp.JSONExtractScalar) -> Node:
    path = node.expression
    if not isinstance(path, exp.JSONPath):
        raise refused("a JSON path that is not written out")
    return call("gsql_json_value", node.this, exp.Literal.string(path.sql(dialect="duckdb").strip("'")))


def _format(node: exp.Format) -> Node:
    pattern = node.this
    if not isinstance(pattern, exp.Literal):
        raise refused("a format that is not written out")
    if "%" in re.sub(r"%(0?\d*d|\.\d+f|s|%)", "", pattern.name):
        raise refused(f"the format {pattern.name!r}", "%d, %05d, %.2f, %s and %% are there")
    return call("printf", pattern, *node.expressions)


def _operator(kind: type[exp.Binary]) -> Rule:
    return lambda node: kind(this=operand(node.this), expression=operand(node.expression))


def _tried(kind: type[exp.Binary]) -> Rule:
    return lambda node: call("try", _operator(kind)(node))


def _bytes(node: exp.ByteString) -> Node:
    if "\\" in node.name:
        raise refused("escapes in b'…'", "use FROM_HEX")
    return call("encode", exp.Literal.string(node.name))


RULES: Mapping[type[Node], Rule] = {
    exp.Literal: _number,
    exp.Neg: _negative,
    exp.DataType: _type,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Round: _on_float,
    exp.Floor: _on_float,
    exp.Ceil: _on_float,
    exp.Trunc: _on_float,
    exp.Like: _like,
    exp.Substring: _substring,
    exp.Left: lambda node: call("gsql_substr", node.this, cast(exp.convert(1), "BIGINT"), node.expression),
    exp.Right: lambda node: call("gsql_right", node.this, node.expression),
    exp.Pad: _pad,
    exp.RegexpExtract: _no_position,
    exp.RegexpExtractAll: _no_position,
    exp.StrPosition: _no_position,
    exp.JSONExtractScalar: _json_value,
    exp.ByteString: _bytes,
    exp.IntDiv: lambda node: exp.Paren(this=_operator(exp.IntDiv)(node)),
    exp.SafeAdd: _tried(exp.Add),
    exp.SafeSubtract: _tried(exp.Sub),
    exp.SafeMultiply: _tried(exp.Mul),
    exp.Chr: lambda node: call("chr", cast(node.expressions[0], "INTEGER")),
    exp.Format: _format,
    exp.FarmFingerprint: lambda node: call("gsql_farm_fingerprint", node.expressions[0]),
    exp.SafeFunc: lambda node: call("try", node.this),
}
