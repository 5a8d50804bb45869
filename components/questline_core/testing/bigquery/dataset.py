"""The warehouse of a project in which every test has a dataset of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import pyarrow as pa

from questline_core.errors import QuestlineError
from questline_core.warehouse.bigquery.adapter import BigQueryWarehouse
from questline_core.warehouse.port import Appended, Description, Estimate, open_warehouse

_DATASET = "game."
"""What the contract suite calls its dataset."""


@dataclass(frozen=True)
class InDataset:
    """The warehouse, with the contract's dataset under another name: the one that was made for this run."""

    inner: BigQueryWarehouse
    dataset: str

    def _there(self, text: str) -> str:
        return text.replace(_DATASET, f"{self.dataset}.")

    @contextmanager
    def _back(self) -> Iterator[None]:
        try:
            yield
        except QuestlineError as error:
            raise type(error)(str(error).replace(f"{self.dataset}.", _DATASET)) from error

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run a statement."""
        with self._back():
            return self.inner.query(self._there(sql), **parameters)

    def estimate(self, sql: str, **parameters: Any) -> Estimate:
        """Tell what a statement would read."""
        with self._back():
            return self.inner.estimate(self._there(sql), **parameters)

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table."""
        with self._back():
            self.inner.create(self._there(table), schema)

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        """Add rows."""
        with self._back():
            return self.inner.append(self._there(table), rows, key=key)

    def replace(self, table: str, rows: pa.Table, *, partition: date | None = None) -> None:
        """Put rows in place of others."""
        with self._back():
            self.inner.replace(self._there(table), rows, partition=partition)

    def erase(self, table: str, *, column: str, values: Sequence[Any]) -> int:
        """Remove rows."""
        with self._back():
            return self.inner.erase(self._there(table), column=column, values=values)

    def version(self, table: str) -> str:
        """Name the content."""
        with self._back():
            return self.inner.version(self._there(table))

    def tables(self) -> Sequence[str]:
        """Name the tables of the dataset."""
        own = [name for name in self.inner.tables() if name.startswith(f"{self.dataset}.")]
        return [name.replace(f"{self.dataset}.", _DATASET) for name in own]

    def describe(self, table: str) -> Description:
        """Describe a table."""
        with self._back():
            return self.inner.describe(self._there(table))

    def close(self) -> None:
        """Close the connections."""
        self.inner.close()


@dataclass
class CloudBench:
    """One dataset of a project, and the warehouses that were opened on it."""

    address: str
    dataset: str
    opened: ExitStack

    def open(self) -> InDataset:
        """Open the warehouse once more; it is closed with the others."""
        inner = open_warehouse(self.address, labels={"questline-test": self.dataset.replace("_", "-")})
        return self.opened.enter_context(closing(InDataset(cast("BigQueryWarehouse", inner), self.dataset)))
