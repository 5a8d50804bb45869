"""The players who were forgotten, known only by a keyed hash, so that a late event does not bring one back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from questline_core.privacy.key import PrivacyKey
from questline_core.privacy.messages import player_of
from questline_core.warehouse.port import Warehouse

FORGOTTEN = "privacy.forgotten"
_TYPES: dict[str, pa.DataType] = {"player_key": pa.string(), "forgotten_at": pa.timestamp("us", "UTC")}
SCHEMA = pa.schema(_TYPES)
PLAYER = "user_pseudo_id"
"""Column of `telemetry.events` that names the player."""


class Forgotten:
    """Who was forgotten, as `privacy.forgotten` says; look again with `refresh`."""

    def __init__(self, warehouse: Warehouse, key: PrivacyKey) -> None:
        """Make the table if need be, and read it."""
        self._warehouse, self._key = warehouse, key
        self._keys = frozenset[str]()
        self._version = ""
        warehouse.create(FORGOTTEN, SCHEMA)
        self.refresh()

    def refresh(self) -> bool:
        """Read the table if it has changed; True when somebody was forgotten since the last look."""
        version = self._warehouse.version(FORGOTTEN)
        if version == self._version:
            return False
        before, self._version = self._keys, version
        found = self._warehouse.query(f"SELECT player_key FROM {FORGOTTEN}")  # noqa: S608 - our own name
        self._keys = frozenset(map(str, found["player_key"].to_pylist()))
        return not self._keys <= before

    def __contains__(self, player: str) -> bool:
        return bool(self._keys) and self._key.of_player(player) in self._keys

    def among(self, players: Iterable[str]) -> list[str]:
        """Name those of these players who were forgotten."""
        return [player for player in players if player in self] if self._keys else []

    def without(self, rows: pa.Table, *, column: str = PLAYER) -> pa.Table:
        """Leave out the rows of forgotten players. Each different player costs one hash; without a tombstone none."""
        if not self._keys or not rows.num_rows:
            return rows
        import pyarrow.compute as pc  # noqa: PLC0415 - loads slowly, and few installations have forgotten anybody

        gone = self.among(map(str, rows[column].unique().to_pylist()))
        if not gone:
            return rows
        keep: Any = pc.invert(pc.is_in(rows[column], value_set=pa.array(gone, pa.string())))
        return rows.filter(keep)

    def without_rejects(self, rejects: pa.Table) -> pa.Table:
        """Leave out rejects whose payload is an event of a forgotten player."""
        if not self._keys or not rejects.num_rows:
            return rejects
        keep = [player_of(payload or b"") not in self for payload in rejects["payload"].to_pylist()]
        return rejects if all(keep) else rejects.filter(pa.array(keep))

    def settle(self, table: str, rows: pa.Table, *, column: str = PLAYER) -> int:
        """Erase those of the rows just written whose player was forgotten while they were on their way; counts them.

        A writer calls it after every append: with `without` before it, no order of the two lets a player come back.
        """
        gone = self.among(map(str, rows[column].unique().to_pylist())) if rows.num_rows and self.refresh() else []
        return self._warehouse.erase(table, column=column, values=gone) if gone else 0

    def add(self, player: str) -> None:
        """Remember from now on that this player was forgotten."""
        row = {"player_key": self._key.of_player(player), "forgotten_at": datetime.now(UTC)}
        self._warehouse.append(FORGOTTEN, pa.Table.from_pylist([row], schema=SCHEMA), key="player_key")
        self.refresh()
