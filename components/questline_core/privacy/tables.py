"""Erase players from the tables of the warehouse: those with a column that names them, and rejects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from questline_core.privacy.messages import payload_names
from questline_core.warehouse.port import REJECTS, Warehouse

PLAYER_COLUMNS = ("user_pseudo_id", "player", "player_id")
"""A table names its players in one of these; no table may hold them in another."""


@dataclass(frozen=True, slots=True)
class TableHolder:
    """One table with a column of players."""

    warehouse: Warehouse
    table: str
    column: str

    @property
    def name(self) -> str:
        """The table."""
        return f"table {self.table}"

    def find(self, player: str) -> int:
        """Count rows."""
        question = f"SELECT COUNT(*) AS n FROM `{self.table}` WHERE {self.column} = @player"  # noqa: S608 - our own names
        return int(self.warehouse.query(question, player=player)["n"][0].as_py())

    def erase(self, player: str) -> int:
        """Remove rows."""
        return self.warehouse.erase(self.table, column=self.column, values=[player])


@dataclass(frozen=True, slots=True)
class RejectsHolder:
    """What broke the contract, kept as it came: the player is found in the payload."""

    warehouse: Warehouse
    name: str = f"table {REJECTS}"

    def find(self, player: str) -> int:
        """Count rejects."""
        return len(self._ids(player))

    def erase(self, player: str) -> int:
        """Remove rejects."""
        return self.warehouse.erase(REJECTS, column="message_id", values=self._ids(player))

    def _ids(self, player: str) -> list[str]:
        rows = self.warehouse.query(f"SELECT message_id, payload FROM `{REJECTS}`")  # noqa: S608 - our own name
        return [
            row["message_id"]
            for batch in rows.to_batches(max_chunksize=1_000)  # a payload may have a megabyte
            for row in batch.to_pylist()
            if payload_names(row["payload"] or b"", player)
        ]


def table_holders(warehouse: Warehouse) -> Iterator[TableHolder | RejectsHolder]:
    """Find every table that may hold players."""
    for table in warehouse.tables():
        if table == REJECTS:
            yield RejectsHolder(warehouse)
            continue
        columns = warehouse.describe(table).schema.names
        yield from (TableHolder(warehouse, table, column) for column in PLAYER_COLUMNS if column in columns)
