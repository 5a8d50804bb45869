"""The warehouse port: GoogleSQL over tables, and appends that happen once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from questline_core.adapters import open_adapter
from questline_core.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS = "telemetry.events"
"""Its days can be replaced one by one: see `DAYS`."""
REJECTS = "telemetry.rejects"
PREDICTIONS = "telemetry.predictions"
DAYS: Mapping[str, str] = {EVENTS: "event_date"}
"""The DATE column that divides a table of the project into days; others say it with PARTITION BY."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What an append did."""

    rows: int
    """Rows that are new."""
    skipped: int
    """Rows whose key was in the table, or earlier in the same call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What is known of a table without reading its rows."""

    rows: int
    schema: pa.Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a statement would read and cost."""

    bytes_read: int
    """At most."""
    usd: float
    basis: str
    """How the price comes about."""


def parts_of(table: str) -> tuple[str, str]:
    """Give the dataset and the own name of a table.

    Raises:
        BadInput: this is no name of one.
    """
    if not _NAME.fullmatch(table):
        raise BadInput(f"{table!r} is no name of a table; write DATASET.TABLE with letters, digits and _")
    dataset, _, name = table.partition(".")
    return dataset, name


class Warehouse(Protocol):
    """Tables named DATASET.TABLE. A table read while another process appends shows whole appends only."""

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one GoogleSQL statement or script with named parameters (`@name`).

        Gives the rows of the last SELECT, or a table without columns.

        Raises:
            BadInput: the text is not GoogleSQL, cannot be translated, or names a table or column that is not there.
        """

    def estimate(self, sql: str, **parameters: Any) -> Estimate:
        """Tell what a statement would read and cost, without running it.

        Raises:
            BadInput: as for `query`.
        """

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table; a table that is there with the same columns stays as it is.

        A table that lacks the last columns gets them, if these may be NULL: its rows have NULL in them.

        Raises:
            BadInput: the table is there with other columns.
        """

    def append(self, table: str, rows: pa.Table, *, key: str | None = None) -> Appended:
        """Add rows in one step that is durable on return; with `key`, rows whose key is there already are left out.

        Columns that the rows don't bring become NULL.

        Raises:
            BadInput: there is no such table, a column does not fit it, or a row has no key.
            NotReady: another process kept writing to the table.
        """

    def replace(self, table: str, rows: pa.Table, *, partition: date | None = None) -> None:
        """Put these rows in place of all that the table held, in one step; makes the table if need be.

        With `partition`, only the rows of that day go, and the table must be there and be divided into days.

        Raises:
            BadInput: the table is not divided into days, or rows are of another day.
        """

    def erase(self, table: str, *, column: str, values: Sequence[Any]) -> int:
        """Remove the rows whose column has one of these values, also from the disk, and tell how many they were.

        Raises:
            BadInput: there is no such table or column.
        """

    def version(self, table: str) -> str:
        """Tell the version of a table's content: it changes when rows were added or replaced, and only then.

        Raises:
            BadInput: there is no such table.
        """

    def tables(self) -> Sequence[str]:
        """Name all tables, sorted."""

    def describe(self, table: str) -> Description:
        """Tell a table's columns and how many rows it has.

        Raises:
            BadInput: there is no such table.
        """

    def close(self) -> None:
        """Release files and locks."""


@runtime_checkable
class ReadsStorage(Protocol):
    """A warehouse that reads files of an object store itself, so that they need not pass through this machine."""

    def load_files(
        self, table: str, uris: Sequence[str], *, schema: pa.Schema | None = None, replace: bool = False
    ) -> int:
        """Load files into a table, which is made if need be, and give the number of rows: all of them, or none.

        Without a schema, the types are those of the table if it exists, and inferred if it does not.

        Raises:
            BadInput: a file is not there or of no format that is known, or a row does not fit.
        """


_WAREHOUSES = {
    "bigquery": ("questline_core.warehouse.bigquery.adapter:open_bigquery", "gcp"),
    "duckdb": ("questline_core.warehouse.embedded:open_embedded", "warehouse"),
}


def open_warehouse(address: str, **options: Any) -> Warehouse:
    """Open the warehouse at an address such as `duckdb:/var/questline/warehouse` or `bigquery:PROJECT/LOCATION`."""
    return open_adapter("warehouse", address, _WAREHOUSES, **options)  # type: ignore[no-any-return]
