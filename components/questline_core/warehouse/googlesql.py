"""GoogleSQL queries for DuckDB: parsed and checked, tables bound to files, parameters bound to values."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError

from questline_core.errors import BadInput
from questline_core.warehouse.columns import INT64
from questline_core.warehouse.rewrite import place, rewrite
from questline_core.warehouse.supported import SUPPORTED
from questline_core.warehouse.unnest import Schemas, name_fields_of_elements
from questline_core.warehouse.where import EMPTY, at, place_at, unclosed

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot read is refused here, with place and reason
_OPERATORS: Mapping[str, type[exp.Expr]] = {
    "+": exp.Add,
    "-": exp.Sub,
    "*": exp.Mul,
    "/": exp.Div,
    "||": exp.DPipe,
    "~~": exp.Like,
}
_TYPES: Mapping[type, str] = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bytes: "BLOB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A GoogleSQL query that was parsed and found to be within what is supported."""

    text: str
    tree: exp.Query

    def tables(self) -> list[exp.Table]:
        """Find the places that name tables of the warehouse, not those that name a WITH clause."""
        clauses = {cte.alias for cte in self.tree.find_all(exp.CTE)}
        return [table for table in self.tree.find_all(exp.Table) if table.db or table.name not in clauses]


@dataclass(frozen=True, slots=True)
class Variable:
    """A value of a script, and its type as DuckDB writes it."""

    value: Any
    type_: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A query in DuckDB's words."""

    question: Question
    sql: str
    parameters: Mapping[str, Any]


def parse(text: str) -> Question:
    """Parse one GoogleSQL query.

    Raises:
        BadInput: it is no GoogleSQL, no query, or uses what the embedded warehouse does not have; tells where.
    """
    tree = read(text)
    if not isinstance(tree, exp.Query):
        begin = place_at(text, len(text) - len(text.lstrip()))
        raise BadInput(
            f"{begin}: a query is wanted here (SELECT …, WITH … SELECT), not {text.split(None, 1)[0].upper()}"
        )
    return checked(text, tree)


def read(text: str) -> exp.Expr:
    """Read one statement or expression of GoogleSQL, whatever it is.

    Raises:
        BadInput: it is no GoogleSQL.
    """
    try:
        statements = [statement for statement in sqlglot.parse(text, read="bigquery") if statement is not None]
    except ParseError as error:
        raise BadInput(_parse_problem(error)) from None
    except TokenError:
        raise unclosed(text, BigQuery().tokenize) from None
    if not statements:
        raise BadInput(EMPTY)
    if len(statements) > 1:
        raise BadInput(f"{place(statements[1])}: give one query here, not {len(statements)}")
    return statements[0]


def checked(text: str, tree: exp.Query) -> Question:
    """Take a tree for a question when all of it is supported.

    Raises:
        BadInput: the embedded warehouse does not have something; tells where.
    """
    for node in tree.walk():
        _check(node)
    return Question(text=text, tree=tree)


def translate(
    question: Question,
    scan: Callable[[exp.Table], exp.Expr],
    values: Mapping[str, Any],
    variables: Mapping[str, Variable] = MappingProxyType({}),
    schemas: Schemas = lambda _table: None,
) -> Translated:
    """Turn a question into DuckDB's SQL; `scan` gives what stands in place of a table.

    Raises:
        BadInput: something cannot be translated, or a parameter is missing or of a kind that GoogleSQL does not have.
    """
    turned = Question(text=question.text, tree=question.tree.copy())
    name_fields_of_elements(turned.tree, schemas)
    parameters = dict[str, Any]()
    for node in list(turned.tree.find_all(exp.Parameter)):
        name = node.name
        if name not in values:
            raise BadInput(f"{place(node)}: the query uses @{name}, but no value was given for it")
        parameters[f"p_{name}"] = values[name]
        with at(place(node)):
            node.replace(_parameter(name, values[name]))
    for table in turned.tables():
        table.replace(scan(table))
    parameters |= _bind_variables(turned.tree, variables)
    rewrite(turned.tree)
    try:
        sql = turned.tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE, comments=False)
    except UnsupportedError as error:
        raise BadInput(f"{place(question.tree)}: the embedded warehouse cannot translate this query: {error}") from None
    return Translated(question=question, sql=sql, parameters=parameters)


def _bind_variables(tree: exp.Query, variables: Mapping[str, Variable]) -> dict[str, Any]:
    bound = dict[str, Any]()
    if not variables:
        return bound
    for column in list(tree.find_all(exp.Column)):
        first = column.parts[0]
        variable = variables.get(first.name.lower())
        if variable is None or column.is_star:
            continue
        name = f"v_{first.name.lower()}"
        value: exp.Expr = exp.Cast(
            this=exp.Parameter(this=exp.Var(this=name)), to=exp.DataType.build(variable.type_, dialect="duckdb")
        )
        for part in column.parts[1:]:
            value = exp.Dot(this=value, expression=part.copy())
        bound[name] = variable.value
        column.replace(value)
    return bound


def find_word(question: Question, *words: str) -> str:
    """Tell where the first of these names, literals, functions or operators stands that is in the query.

    When none is, the query's beginning is told.
    """
    for word in words:
        for node in question.tree.walk():
            names = (node.name, node.meta.get("bigquery_name", "")) if "line" in node.meta else ()
            if word.lower() in map(str.lower, names) or isinstance(node, _OPERATORS.get(word, ())):
                return place(node)
    return place(question.tree)


def _check(node: exp.Expr) -> None:
    if isinstance(node, exp.Pivot):
        raise BadInput(f"{place(node)}: the embedded warehouse has no PIVOT; write SUM(IF(…)) for each column")
    if type(node) in SUPPORTED:
        return
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.meta.get("bigquery_name", node.sql_name())
        raise BadInput(f"{place(node)}: the embedded warehouse does not have the function {name.upper()}")
    raise BadInput(f"{place(node)}: the embedded warehouse does not support {node.key.upper()} in a query")


def table_name(table: exp.Table) -> str:
    """Name a table as DATASET.TABLE, or a WITH clause or a temporary table by its one word."""
    extra = [
        key
        for key, value in table.args.items()
        if value and key not in ("this", "db", "catalog", "alias", "joins", "pivots")
    ]
    if extra or not isinstance(table.this, exp.Identifier):
        raise BadInput(
            f"{place(table)}: a table is named DATASET.TABLE here, without {', '.join(extra) or 'arguments'}"
        )
    return f"{table.db}.{table.name}" if table.db else table.name


def _parameter(name: str, value: Any) -> exp.Expression:
    mark = exp.Parameter(this=exp.Var(this=f"p_{name}"))
    type_ = _value_type(name, value)
    return mark if type_ is None else exp.Cast(this=mark, to=exp.DataType.build(type_, dialect="duckdb"))


def _value_type(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return _struct_type(name, value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise BadInput(f"the parameter {name} is a time without a time zone; give it one, such as UTC")
        return "TIMESTAMPTZ"
    if isinstance(value, date):
        return "DATE"
    if isinstance(value, (list, tuple)):
        kinds = {_value_type(name, item) for item in value} - {None}
        if len(kinds) > 1:
            raise BadInput(f"the parameter {name} is a list of different types")
        return f"{kinds.pop()}[]" if kinds else None
    if type(value) not in _TYPES or (type(value) is int and value not in INT64):
        raise BadInput(f"the parameter {name} cannot be given to a query: {value!r} is no GoogleSQL value")
    return _TYPES[type(value)]


def _struct_type(name: str, value: Mapping[str, Any]) -> str:
    types = {field: _value_type(name, item) for field, item in value.items()}
    unknown = [field for field, type_ in types.items() if type_ is None]
    if unknown or not types:
        raise BadInput(
            f"the type of {', '.join(unknown) or 'a field'} in the parameter {name} is not known; give a value"
        )
    return "STRUCT(" + ", ".join(f'"{field}" {type_}' for field, type_ in types.items()) + ")"


def similar(name: str, known: Sequence[str], intro: str) -> str:
    """Say which known names are like this one, to go after a sentence that it is not known."""
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; {intro} {', '.join(known[:10])}" if known else "; the warehouse has no tables yet"


def _parse_problem(error: ParseError) -> str:
    first = error.errors[0]
    near = f"{first['start_context'][-30:]}{first['highlight']}{first['end_context'][:30]}".replace("\n", " ").strip()
    what = first["description"].split(" but got ")[0].split(" for <class")[0]
    return f"line {first['line']}, column {first['col']}: this is not GoogleSQL near “{near}” ({what})"
