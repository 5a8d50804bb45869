"""What the embedded warehouse asks of BigQuery ML: statements about models, and ML functions in FROM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from questline_core.bqml.calls import find_calls
from questline_core.bqml.duck import DuckDbTables
from questline_core.bqml.executor import Statements
from questline_core.bqml.text import Text
from questline_core.errors import BadInput

if TYPE_CHECKING:
    from questline_core.warehouse.statements.models import Asked


def run(asked: Asked) -> pa.Table:
    """Carry out CREATE MODEL, DROP MODEL, EXPORT MODEL or EXPORT DATA; the result has no columns.

    Raises:
        BadInput: it cannot be carried out; tells where in the text and what is allowed.
    """
    done = _Embedded(asked).execute(asked.text, _Parameters(asked))
    if done is None:
        raise BadInput(f"{asked.place}: expected CREATE MODEL, DROP MODEL, EXPORT MODEL or EXPORT DATA")
    return done


def call(asked: Asked) -> pa.Table:
    """Answer one ML table function.

    Raises:
        BadInput: it cannot answer; tells where in the text and what is allowed.
    """
    text = Text(asked.text)
    return _Embedded(asked).answer(text, next(find_calls(text)), _Parameters(asked))


class _Embedded(Statements):
    """Rows come from the warehouse, which finds ML functions and WITH clauses by itself."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(self._over, asked.root)
        self._asked = asked

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
        del parameters
        return self._asked.query(sql)

    @cached_property
    def _scratch(self) -> DuckDbTables:
        return DuckDbTables(duckdb.connect(":memory:", config={"autoload_known_extensions": False}))

    def _over(self, sql: str, relations: Mapping[str, pa.Table], parameters: Mapping[str, Any]) -> pa.Table:
        """Run a query over rows in memory, as TRANSFORM needs it."""
        return self._scratch.ask(sql, relations, parameters) if relations else self._asked.query(sql)


class _Parameters(Mapping[str, Any]):
    """The script's parameters, each asked of the warehouse when a statement uses it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except BadInput:
            return False
        return True

    def __getitem__(self, name: str) -> Any:
        return self._asked.query(f"SELECT @{name} AS value").column("value")[0].as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
