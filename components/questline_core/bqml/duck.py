"""GoogleSQL queries on a DuckDB connection of the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import ErrorLevel

from questline_core.errors import BadInput
from questline_core.warehouse.columns import googlesql_types
from questline_core.warehouse.engine import check_names, define_macros, explain
from questline_core.warehouse.googlesql import Translated, parse
from questline_core.warehouse.rewrite import place, rewrite
from questline_core.warehouse.where import at


class DuckDbTables:
    """The tables of a connection; defines the macros that translated queries call, and changes nothing else."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        define_macros(connection)

    def ask(self, sql: str, relations: Mapping[str, pa.Table], parameters: Mapping[str, Any]) -> pa.Table:
        """Run one GoogleSQL query; `relations` are rows that it names like tables.

        Raises:
            BadInput: the query is not GoogleSQL, or cannot be run; tells where.
        """
        question = parse(sql)
        tree, values = question.tree.copy(), dict[str, Any]()
        for node in list(tree.find_all(exp.Parameter)):
            if node.name not in parameters:
                raise BadInput(f"{place(node)}: the query uses @{node.name}, but no value was given for it")
            values[node.name] = parameters[node.name]
            node.replace(exp.Parameter(this=exp.Var(this=node.name)))
        rewrite(tree)
        text = tree.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE, comments=False)
        with self._connection.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'; SET ieee_floating_point_ops = false")
            for name, table in relations.items():
                cursor.register(name, table)
            translated = Translated(question=question, sql=text, parameters=values)
            try:
                found = cursor.sql(text, params=values or None).to_arrow_table()
            except duckdb.Error as error:
                raise BadInput(explain(translated, str(error))) from error
        check_names(translated, found.column_names)
        with at(place(question.tree)):
            return googlesql_types(_as_floats(found))


def _as_floats(rows: pa.Table) -> pa.Table:
    """Turn NUMERIC columns into FLOAT64: models compute with nothing else."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_decimal(field.type):
            rows = rows.set_column(index, field.name, rows.column(index).cast(pa.float64()))
    return rows
