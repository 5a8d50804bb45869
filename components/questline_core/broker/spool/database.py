"""Open one database of the spool, and put SQLite's failures into sentences."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from questline_core.durable import sync
from questline_core.errors import BadInput

SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 10.0
PAGE_BYTES = 16 << 10
"""SQLite writes the log by two calls a page, so that commits of a group cost less than with pages of 4 KiB."""
WAL_KEPT_BYTES = 4 << 20
"""The write-ahead log is copied into the database when it has this size, and cut back to it afterwards."""

# The identity sets the messages of this file apart from those of one that lay here before. A commit's id stays in
# `commits` after its group is gone, so ids never repeat. A slice is a set of messages of one group that were delivered
# equally often and are held by one consumer, or by none (held_until = 0).
_SCHEMA = """
CREATE TABLE spool (identity TEXT NOT NULL);
INSERT INTO spool VALUES (lower(hex(randomblob(8))));
CREATE TABLE commits (
    id INTEGER PRIMARY KEY, time_micros INTEGER NOT NULL, events INTEGER NOT NULL, event_ids TEXT NOT NULL
);
CREATE TABLE groups (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, head BLOB NOT NULL, data BLOB NOT NULL);
CREATE TABLE slices (
    group_id INTEGER NOT NULL, part INTEGER NOT NULL, attempt INTEGER NOT NULL, held_until REAL NOT NULL,
    messages INTEGER NOT NULL, positions TEXT NOT NULL, PRIMARY KEY (group_id, part)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, time_micros INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
    payload BLOB NOT NULL, attributes TEXT NOT NULL
);
"""


class DamagedDatabase(BadInput):
    """Raised when a file was a database once, or never, and SQLite can make nothing of it."""


def connect(path: Path, *, synchronous: str) -> sqlite3.Connection:
    """Open a database and make its tables if it is new.

    Args:
        path: the file.
        synchronous: `FULL` where a commit must survive a power cut, `NORMAL` where it may be forgotten then.

    Raises:
        BadInput: the file is not a spool database, or cannot be written.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    try:
        _prepare(connection, synchronous)
    except (sqlite3.Error, ValueError) as error:
        connection.close()
        raise unusable(path, error) from None
    return connection


def _prepare(connection: sqlite3.Connection, synchronous: str) -> None:
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # Both count in an empty file only, and the second writes to any other.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _use_write_ahead_log(connection)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(
        "PRAGMA secure_delete = FAST"
    )  # some builds overwrite what is deleted, at the cost of writing it
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_KEPT_BYTES // page_bytes(connection)}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
    with transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise ValueError(f"its tables have version {version}, not {SCHEMA_VERSION}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the log, which SQLite refuses without waiting while another process does the same."""
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the block's changes together, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def identity(connection: sqlite3.Connection, path: Path) -> str:
    """Tell the name that was drawn for this database when it was made.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return str(connection.execute("SELECT identity FROM spool").fetchone()[0])
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from None


def page_bytes(connection: sqlite3.Connection) -> int:
    """Tell the size of a page."""
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def free_bytes(connection: sqlite3.Connection) -> int:
    """Tell how much of the file is free for new rows."""
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0]) * page_bytes(connection)


def unusable(path: Path, error: Exception) -> BadInput:
    """Say that a file of the spool cannot be used, and what to do."""
    kind = DamagedDatabase if is_damage(error) else BadInput
    return kind(f"{path} cannot be used as a spool database ({error}); move it away, or make it writable")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole database once.

    Raises:
        DamagedDatabase: it is damaged; the connection is closed.
    """
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise unusable(path, error) from None
    if found != "ok":
        connection.close()
        raise DamagedDatabase(f"{path} is damaged ({found})")


def is_damage(error: Exception) -> bool:
    """Tell whether the file is at fault, and not a lock, a right or a full disk."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def move_aside(path: Path) -> Path:
    """Give a damaged database and its log other names, for a person to look at, and return the first."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    for suffix in ("-wal", "-shm", ""):  # the log first: SQLite would write it into a new database
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    sync(path.parent)
    return aside
