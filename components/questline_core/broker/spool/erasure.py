"""Remove messages from one database of the spool, so that its files have none of their bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import orjson

from questline_core.broker.port import Message
from questline_core.broker.spool import database, positions
from questline_core.broker.spool.group import DamagedGroup, drop_empty, messages_of, pack

Matches = Callable[[Message], bool]

ERASED = Message(b"", {})
"""Stands where a message was, because deliveries name the messages of a group by their position."""


def erase(connection: sqlite3.Connection, matches: Matches) -> int:
    """Erase what matches, one commit group in each transaction; after a crash it is to be called again.

    Raises:
        sqlite3.Error: the database cannot be read or written now.
        DamagedGroup: a group cannot be read; the others are done.
    """
    damaged: DamagedGroup | None = None
    erased = _erase_dead(connection, matches)
    for (group,) in connection.execute("SELECT id FROM groups ORDER BY id").fetchall():
        try:
            erased += _erase_in_group(connection, group, matches)
        except DamagedGroup as error:
            damaged = error
    _wipe_free_space(connection)
    if damaged:
        raise damaged
    return erased


def _erase_dead(connection: sqlite3.Connection, matches: Matches) -> int:
    found = [
        (number,)
        for number, payload, attributes in connection.execute("SELECT id, payload, attributes FROM dead_letters")
        if matches(Message(bytes(payload), orjson.loads(attributes)))
    ]
    with database.transaction(connection):
        connection.executemany("DELETE FROM dead_letters WHERE id = ?", found)
    return len(found)


def _erase_in_group(connection: sqlite3.Connection, group: int, matches: Matches) -> int:
    if not any(map(matches, messages_of(connection, group))):
        return 0
    with database.transaction(connection):
        messages = messages_of(connection, group)  # a consumer may have removed it since
        found = {position for position, message in enumerate(messages) if matches(message)}
        erased = _erase_in_slices(connection, group, found)
        left = [ERASED if position in found else message for position, message in enumerate(messages)]
        connection.execute("UPDATE groups SET (checksum, head, data) = (?, ?, ?) WHERE id = ?", (*pack(left), group))
        drop_empty(connection, [group])
    return erased


def _erase_in_slices(connection: sqlite3.Connection, group: int, found: set[int]) -> int:
    """Take positions out of all slices of a group; gives how many were in one, so not acknowledged yet."""
    erased = 0
    for part, text in connection.execute("SELECT part, positions FROM slices WHERE group_id = ?", (group,)).fetchall():
        members = positions.from_text(text)
        left = [position for position in members if position not in found]
        erased += len(members) - len(left)
        if left:
            connection.execute(
                "UPDATE slices SET (messages, positions) = (?, ?) WHERE (group_id, part) = (?, ?)",
                (len(left), positions.to_text(left), group, part),
            )
        else:
            connection.execute("DELETE FROM slices WHERE (group_id, part) = (?, ?)", (group, part))
    return erased


def _wipe_free_space(connection: sqlite3.Connection) -> None:
    """Cut off the free pages, which hold what was deleted or consumed before, and empty the write-ahead log."""
    # Inside of a page that stays, SQLite overwrites by itself what is deleted (secure_delete = FAST).
    connection.executescript("PRAGMA incremental_vacuum")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("another process kept reading the write-ahead log")
