"""The warehouse port: GoogleSQL over tables, and appends that happen once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from questline_core.adapters import open_adapter

if TYPE_CHECKING:
    import pyarrow as pa

EVENTS = "telemetry.events"
REJECTS = "telemetry.rejects"


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


class Warehouse(Protocol):
    """Tables named DATASET.TABLE. A table read while another process appends shows whole appends only."""

    def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Run one GoogleSQL query with named parameters (`@name`) and return all rows.

        Raises:
            BadInput: the text is not GoogleSQL, cannot be translated, or names a table or column that is not there.
        """

    def create(self, table: str, schema: pa.Schema) -> None:
        """Make an empty table; a table that is there with the same columns stays as it is.

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

    def replace(self, table: str, rows: pa.Table) -> None:
        """Put these rows in place of all that the table held, in one step; makes the table if need be."""

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


_WAREHOUSES = {"duckdb": ("questline_core.warehouse.embedded:open_embedded", "warehouse")}


def open_warehouse(address: str, **options: Any) -> Warehouse:
    """Open the warehouse at an address such as `duckdb:/var/questline/warehouse`."""
    return open_adapter("warehouse", address, _WAREHOUSES, **options)  # type: ignore[no-any-return]
