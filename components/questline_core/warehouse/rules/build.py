"""Build pieces of DuckDB's SQL, and refuse what has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from sqlglot import exp

from questline_core.errors import BadInput

Node: TypeAlias = exp.Expr
Rule: TypeAlias = Callable[[Any], Node]


def call(name: str, *arguments: Node | str | float) -> exp.Anonymous:
    """Call a function of DuckDB or one of our macros."""
    return exp.Anonymous(this=name, expressions=[exp.convert(argument) for argument in arguments])


def cast(node: Node, type_: str) -> exp.Cast:
    """Cast to a type of DuckDB."""
    return exp.Cast(this=node, to=exp.DataType.build(type_, dialect="duckdb"))


def operand(node: Node) -> Node:
    """Make an argument of a function an operand of an operator: `DIV(a - b, c)` is `(a - b) // c`."""
    return exp.Paren(this=node) if isinstance(node, (exp.Binary, exp.Unary, exp.Predicate)) else node


def refused(what: str, instead: str = "") -> BadInput:
    """Say that the embedded warehouse does not have something."""
    return BadInput(f"the embedded warehouse does not support {what}" + (f"; {instead}" if instead else ""))
