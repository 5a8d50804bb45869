"""What the trigger decided and what became of it, on disk: the memory that keeps it from starting anything twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from questline_core.durable import make_folder
from questline_pipelines.trigger.starter import DONE, RUNNING

_TABLE = """
CREATE TABLE IF NOT EXISTS decisions (
  key TEXT PRIMARY KEY,
  at_s REAL NOT NULL,
  action TEXT NOT NULL,
  cause TEXT NOT NULL,
  decision TEXT NOT NULL,
  run TEXT,
  data_version TEXT,
  due_micros INTEGER,
  outcome TEXT
)
"""

STARTED = "started"
"""The decision to start something; any other one says why nothing was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision."""

    key: str
    """What was decided about: an incident, an object, a version of the data. It is decided once."""
    at_s: float
    """Seconds since 1970."""
    action: str
    """What was to be started: a pipeline, or `lookup`."""
    cause: str
    decision: str
    """`started`, or why nothing was."""
    run: str | None = None
    data_version: str | None = None
    due_micros: int | None = None
    """The labels of moments up to here were due when the run started."""
    outcome: str | None = None

    @property
    def failed(self) -> bool:
        """Tell whether a run was started and failed."""
        return self.outcome not in {None, RUNNING, DONE}


class Ledger:
    """The decisions, newest last. Safe for threads of one process."""

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self._lock = RLock()
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_TABLE)

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """Be the only one that decides until the block ends; what it writes counts only if the block ends well."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def add(self, entry: Entry) -> None:
        """Write a decision down."""
        with self._lock:
            self._database.execute(
                "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    entry.key, entry.at_s, entry.action, entry.cause, entry.decision, entry.run, entry.data_version,
                    entry.due_micros, entry.outcome,
                ),
            )  # fmt: skip

    def finish(self, run: str, outcome: str) -> None:
        """Write down what became of a run."""
        with self._lock:
            self._database.execute("UPDATE decisions SET outcome = ? WHERE run = ?", (outcome, run))

    def find(self, key: str) -> Entry | None:
        """Find the decision about something; None while there is none."""
        found = self._read("WHERE key = ?", key)
        return found[0] if found else None

    def started(self, action: str) -> Sequence[Entry]:
        """List the starts of an action, oldest first."""
        return self._read("WHERE action = ? AND decision = 'started' ORDER BY at_s", action)

    def latest(self, count: int) -> Sequence[Entry]:
        """List the newest decisions, newest first."""
        return self._read("ORDER BY at_s DESC LIMIT ?", count)

    def unfinished(self) -> Sequence[Entry]:
        """List the runs of which no outcome is known."""
        return self._read("WHERE outcome = ?", RUNNING)

    def _read(self, rest: str, value: object) -> list[Entry]:
        with self._lock:
            rows = self._database.execute(f"SELECT * FROM decisions {rest}", (value,)).fetchall()  # noqa: S608 - ours
        names = tuple(Entry.__dataclass_fields__)
        return [Entry(**dict(zip(names, row, strict=True))) for row in rows]
