"""GoogleSQL queries for DuckDB: parsed and checked, tables bound to files, parameters bound to values."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, TokenError, UnsupportedError

from questline_core.errors import BadInput
from questline_core.warehouse.rewrite import place, rewrite
from questline_core.warehouse.supported import SUPPORTED

_INT64 = range(-(2**63), 2**63)
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

    def table_names(self, known: Callable[[], Sequence[str]]) -> list[str]:
        """Name the tables that are asked, each once.

        Raises:
            BadInput: a name is not among the known ones; lists similar ones.
        """
        places = {_table_name(table): place(table) for table in self.tables()}
        if places:
            here = known()
            for name, where in places.items():
                if name not in here:
                    raise BadInput(f"{where}: there is no table {name}{_similar(name, here, 'the tables are')}")
        return list(places)


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
    try:
        statements = [statement for statement in sqlglot.parse(text, read="bigquery") if statement is not None]
    except ParseError as error:
        raise BadInput(_parse_problem(error)) from None
    except TokenError as error:
        raise BadInput(f"this is not GoogleSQL: {str(error).splitlines()[0]}") from None
    if not statements:
        raise BadInput("the query is empty")
    if len(statements) > 1:
        raise BadInput(f"give one query at a time; this text has {len(statements)}")
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        raise BadInput(f"only queries are run here (SELECT …, WITH … SELECT); this is a {tree.key.upper()}")
    for node in tree.walk():
        _check(node)
    return Question(text=text, tree=tree)


def translate(question: Question, files: Mapping[str, Sequence[str]], values: Mapping[str, Any]) -> Translated:
    """Turn a question into DuckDB's SQL over these files.

    Raises:
        BadInput: something cannot be translated, or a parameter is missing or of a kind that GoogleSQL does not have.
    """
    question = Question(text=question.text, tree=question.tree.copy())
    parameters = dict[str, Any]()
    for node in list(question.tree.find_all(exp.Parameter)):
        name = node.name
        if name not in values:
            raise BadInput(f"the query uses @{name}, but no value was given for it")
        parameters[f"p_{name}"] = values[name]
        node.replace(_parameter(name, values[name]))
    for table in question.tables():
        table.replace(_scan(table, files[_table_name(table)]))
    rewrite(question.tree)
    try:
        sql = question.tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE, comments=False)
    except UnsupportedError as error:
        raise BadInput(f"the embedded warehouse cannot translate this query: {error}") from None
    return Translated(question=question, sql=sql, parameters=parameters)


def find_name(question: Question, name: str) -> str:
    """Tell where a name stands in the text, to go before a sentence about it."""
    for node in question.tree.find_all(exp.Identifier):
        if node.name.lower() == name.lower() and "line" in node.meta:
            return f"{place(node)}: "
    return ""


def _check(node: exp.Expr) -> None:
    if type(node) in SUPPORTED:
        return
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.meta.get("bigquery_name", node.sql_name())
        raise BadInput(f"{place(node)}: the embedded warehouse does not have the function {name.upper()}")
    raise BadInput(f"{place(node)}: the embedded warehouse does not support {node.key.upper()} in a query")


def _table_name(table: exp.Table) -> str:
    extra = [
        key for key, value in table.args.items() if value and key not in ("this", "db", "catalog", "alias", "joins")
    ]
    if extra or not isinstance(table.this, exp.Identifier):
        raise BadInput(
            f"{place(table)}: a table is named DATASET.TABLE here, without {', '.join(extra) or 'arguments'}"
        )
    return f"{table.db}.{table.name}" if table.db else table.name


def _scan(table: exp.Table, files: Sequence[str]) -> exp.Subquery:
    paths = exp.Array(expressions=[exp.Literal.string(file) for file in files])
    scan = exp.Anonymous(
        this="read_parquet", expressions=[paths, exp.EQ(this=exp.column("hive_partitioning"), expression=exp.false())]
    )
    alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
    return exp.Subquery(this=exp.select("*").from_(exp.Table(this=scan)), alias=alias, joins=table.args.get("joins"))


def _parameter(name: str, value: Any) -> exp.Expression:
    mark = exp.Parameter(this=exp.Var(this=f"p_{name}"))
    type_ = _value_type(name, value)
    return mark if type_ is None else exp.Cast(this=mark, to=exp.DataType.build(type_, dialect="duckdb"))


def _value_type(name: str, value: Any) -> str | None:
    if value is None:
        return None
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
    if type(value) not in _TYPES or (type(value) is int and value not in _INT64):
        raise BadInput(f"the parameter {name} cannot be given to a query: {value!r} is no GoogleSQL value")
    return _TYPES[type(value)]


def _similar(name: str, known: Sequence[str], intro: str) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; {intro} {', '.join(known[:10])}" if known else "; the warehouse has no tables yet"


def _parse_problem(error: ParseError) -> str:
    first = error.errors[0]
    near = f"{first['start_context'][-30:]}{first['highlight']}{first['end_context'][:30]}".replace("\n", " ").strip()
    what = first["description"].split(" but got ")[0].split(" for <class")[0]
    return f"line {first['line']}, column {first['col']}: this is not GoogleSQL near “{near}” ({what})"
