"""The ledger's table: each move writes one row for each revision that is declared after it, and no row ever changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa

from questline_core.errors import QuestlineError
from questline_core.models.port import ServiceStatus
from questline_core.models.store import ModelVersion, digest, load
from questline_core.warehouse.port import Warehouse, open_warehouse
from questline_core.who import who_asks

LEDGER = "serving.ledger"
SCHEMA = pa.schema(
    (
        pa.field("entry_id", pa.string(), nullable=False),
        pa.field("move_id", pa.string(), nullable=False),
        pa.field("moved_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("move", pa.string(), nullable=False),
        pa.field("who", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("revision", pa.string(), nullable=False),
        pa.field("stable", pa.bool_(), nullable=False),
        pa.field("share_percent", pa.int64(), nullable=False),
        pa.field("model_digest", pa.string()),
        pa.field("data_version", pa.string()),
        pa.field("code_version", pa.string()),
        pa.field("metrics", pa.string()),
    )
)

Entry = dict[str, Any]
"""One row, by the names of `SCHEMA`."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Writes and reads the ledger of one installation."""

    warehouse: Warehouse
    model_store: str
    """Root of the store whose versions tell where a revision came from."""

    def record(self, move: str, status: ServiceStatus, *, at: datetime | None = None) -> list[Entry]:
        """Write what is declared after a move and give back the rows."""
        facts = {"move_id": str(uuid4()), "moved_at": at or datetime.now(UTC), "move": move, "who": who_asks()}
        rows = [
            {
                "entry_id": str(uuid4()),
                **facts,
                "model": status.name,
                "revision": one.revision,
                "stable": one.stable,
                "share_percent": one.percent,
                **self._origin(status.name, one.revision),
            }
            for one in status.revisions
        ]
        self.warehouse.create(LEDGER, SCHEMA)
        self.warehouse.append(LEDGER, pa.Table.from_pylist(rows, SCHEMA), key="entry_id")
        return rows

    def history(self, model: str) -> list[Entry]:
        """List all rows about a model, oldest first."""
        return self._rows("SELECT * FROM serving.ledger WHERE model = @model", model=model)

    def at(self, model: str, moment: datetime) -> list[Entry]:
        """Tell what was declared at a moment: the rows of the newest move that was not later; none before the first."""
        rows = self._rows(
            "SELECT * FROM serving.ledger WHERE model = @model AND moved_at <= @moment", model=model, moment=moment
        )
        return [row for row in rows if row["move_id"] == rows[-1]["move_id"]]

    def stable_before(self, model: str, revision: str) -> str:
        """Name the stable revision to go back to from this one, never one that was itself left so; empty if none."""
        stable: list[str] = []
        for row in self.history(model):
            if row["stable"] and row["move"] == "rollback" and row["revision"] in stable:
                while stable[-1] != row["revision"]:
                    stable.pop()
            elif row["stable"]:
                stable.append(row["revision"])
        return next((one for one in reversed(stable) if one != revision), "")

    def _rows(self, sql: str, **parameters: Any) -> list[Entry]:
        if LEDGER not in self.warehouse.tables():
            return []
        ordered = f"{sql} ORDER BY moved_at, move_id, stable DESC, revision"
        return list(self.warehouse.query(ordered, **parameters).to_pylist())

    def _origin(self, model: str, revision: str) -> Entry:
        """Read a revision's origin from the store; a version that the store has no more leaves it open."""
        try:
            version = load(f"{self.model_store}/{model}/{revision}")
        except QuestlineError:
            return {}
        return origin(version)


def note(warehouse: str, version: ModelVersion, move: str, status: ServiceStatus) -> None:
    """Write a move of a published version into the ledger of the warehouse at an address; an empty one has none."""
    if warehouse:
        with closing(open_warehouse(warehouse)) as opened:
            Ledger(opened, version.uri.rsplit("/", 2)[0]).record(move, status)


def origin(version: ModelVersion) -> Entry:
    """Tell where a version came from: its digest, its data, its code and its metrics as JSON text."""
    folder, lineage = version.folder, version.metadata["lineage"]
    metrics = folder / "metrics.json"
    return {
        "model_digest": digest(folder),
        "data_version": _text(lineage.get("data_version")),
        "code_version": _text(lineage.get("code_version")),
        "metrics": metrics.read_text(encoding="utf-8") if metrics.exists() else None,
    }


def changed(before: Entry, after: Entry, names: Sequence[str]) -> Entry:
    """Tell which of the named facts differ, as name -> "before → after"."""
    return {name: f"{before.get(name)} → {after.get(name)}" for name in names if before.get(name) != after.get(name)}


def flat_metrics(entry: Entry) -> Entry:
    """Give the numbers of an entry's metrics by name."""
    told = json.loads(entry.get("metrics") or "{}")
    return {name: value for name, value in told.items() if isinstance(value, int | float)}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
