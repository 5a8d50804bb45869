"""Keep events on disk until they are acknowledged: bounded, oldest out first, emptied when consent ends."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from questline_core.errors import BadInput, NotReady

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
  number INTEGER PRIMARY KEY AUTOINCREMENT, added_ms INTEGER NOT NULL, event BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_DROPPED, _CONSENT = "dropped", "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait; beyond either, the oldest events are dropped and counted."""

    events: int = 100_000
    size_bytes: int = 64 * 2**20
    """Of serialized events."""


@dataclass(frozen=True, slots=True)
class Queued:
    """One event that waits."""

    number: int
    """Its place: later events have higher ones."""
    added_ms: int
    """When it was queued, milliseconds since 1970 by this machine's clock."""
    data: bytes
    """Serialized `Event`."""


class Queue:
    """A queue in one SQLite file, which belongs to one process at a time; any thread may use it.

    An event is safe from the end of the process as soon as `push` returns. (From a power cut it is after the next
    checkpoint: a game on a phone must not wait for the disk at each event.)
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open the file, or make it.

        Raises:
            BadInput: another process has it, it is no such file, or the folder cannot be written.
        """
        self._limits, self._lock = limits, threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0.5)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            # What a player withdrew must not be readable in the free pages of the file.
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            with suppress(AttributeError):
                self._db.close()
            raise BadInput(
                f"cannot use {path} as a queue of events ({error}); "
                "name a file that no other process uses, and remove one that is damaged"
            ) from None
        self.events = self.size_bytes = 0
        self._recount()
        self.dropped = self._fact(_DROPPED) or 0
        """Events that had to go, since the file was made."""
        said = self._fact(_CONSENT)
        self.consent = None if said is None else bool(said)
        """What the player said last, in whatever run; None before the first word."""

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def push(self, data: bytes) -> int:
        """Add an event, and drop the oldest ones if there are too many now; returns the event's number.

        Raises:
            NotReady: the disk is full.
        """
        with self._writing():
            added = self._db.execute(
                "INSERT INTO events (added_ms, event) VALUES (?, ?)", (time.time_ns() // 1_000_000, data)
            )
            self.events, self.size_bytes = self.events + 1, self.size_bytes + len(data)
            if self.events > self._limits.events or self.size_bytes > self._limits.size_bytes:
                self._drop_oldest()
            return added.lastrowid or 0

    def oldest(self, *, events: int, size_bytes: int, but: Collection[int] = ()) -> list[Queued]:
        """Read the events that wait longest, one at least if there is one.

        Args:
            events: most events.
            size_bytes: most bytes of them together.
            but: numbers to pass over.
        """
        batch: list[Queued] = []
        room = size_bytes
        with self._lock:
            for row in self._db.execute("SELECT number, added_ms, event FROM events ORDER BY number"):
                one = Queued(*row)
                if one.number in but:
                    continue
                if len(batch) == events or (batch and len(one.data) > room):
                    break
                batch.append(one)
                room -= len(one.data)
        return batch

    def remove(self, numbers: Collection[int]) -> None:
        """Forget events that need not be sent again."""
        with self._writing():
            for number in numbers:
                self._remove(number)

    def set_consent(self, *, given: bool) -> int:
        """Remember what the player said; without consent the queue is emptied. Returns how many events went."""
        with self._lock:
            with self._writing():
                self._set(_CONSENT, int(given))
                self.consent = given
                gone = 0 if given else self.events
                if not given:
                    self._db.execute("DELETE FROM events")
                    self.events = self.size_bytes = 0
            if not given:
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return gone

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._recount()
                raise NotReady(f"the queue of events cannot be written ({error}); make room on the disk") from None

    def _recount(self) -> None:
        counted = self._db.execute("SELECT COUNT(*), COALESCE(SUM(LENGTH(event)), 0) FROM events").fetchone()
        self.events, self.size_bytes = counted

    def _drop_oldest(self) -> None:
        while self.events > self._limits.events or self.size_bytes > self._limits.size_bytes:
            (number,) = self._db.execute("SELECT MIN(number) FROM events").fetchone()
            self._remove(number)
            self.dropped += 1
        self._set(_DROPPED, self.dropped)

    def _remove(self, number: int) -> None:
        for (size,) in self._db.execute(
            "DELETE FROM events WHERE number = ? RETURNING LENGTH(event)", (number,)
        ).fetchall():
            self.events, self.size_bytes = self.events - 1, self.size_bytes - size

    def _fact(self, name: str) -> int | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def _set(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
