"""Make published messages durable: while one commit runs, the next group gathers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeAlias

import orjson
import structlog

from questline_core.broker.port import Message
from questline_core.broker.spool import database, positions
from questline_core.broker.spool.group import cut, event_ids, pack
from questline_core.durable import sync
from questline_core.errors import BadInput, BrokerFull

log = structlog.get_logger()

_Waiting: TypeAlias = tuple[Sequence[Message], asyncio.Future[None]]
"""What is to be stored, and what its caller waits for."""

GROUP_MESSAGES, GROUP_BYTES = 1_000, 1 << 20
"""A row holds at most this much, so that a consumer that takes few messages reads little."""
KEPT_IDS = 200_000
"""Ids of this many of the newest events are kept, so that a restarted gateway knows duplicates."""
FREE_BYTES = 8 << 20
"""Left free on the disk, because a consumer needs some to record what it consumed, which gives space back."""
RETRY_AFTER_S = 1.0


class Writer:
    """One thread that commits, in one transaction, all that was published since its last commit began."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Open the database and start the thread.

        Raises:
            BadInput: the database cannot be used.
        """
        self.path, self._max_bytes = path, max_bytes
        self._connection = self._open()
        sync(path.parent)
        self._kept_ids = self._count_ids()
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._closing = self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"spool {path.stem}", daemon=True)
        self._thread.start()

    def _open(self) -> sqlite3.Connection:
        """Open the database; one that is damaged is moved aside, and a new one takes its place."""
        try:
            connection = self._connect()
            database.check(connection, self.path)
        except database.DamagedDatabase as error:
            aside = database.move_aside(self.path)
            log.critical(
                "damaged spool database moved aside", file=str(self.path), kept_as=str(aside), reason=str(error)
            )
            return self._connect()
        return connection

    def _count_ids(self) -> int:
        return int(self._connection.execute("SELECT coalesce(sum(events), 0) FROM commits").fetchone()[0])

    def _connect(self) -> sqlite3.Connection:
        connection = database.connect(self.path, synchronous="FULL")
        connection.execute(f"PRAGMA max_page_count = {max(1, self._max_bytes // database.page_bytes(connection))}")
        return connection

    def publish(self, messages: Sequence[Message]) -> asyncio.Future[None]:
        """Give what is done when all messages are durable, or fails with `BrokerFull` when none of them is stored."""
        if self._closing:
            raise self._refusal("it is being closed")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put((messages, answer))
        if self._closed:  # since the question above: nobody takes from the queue any more
            self._refuse_waiting()
        return answer

    def close(self) -> None:
        """Commit what waits, then end the thread and close the database."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()
        self._closed = True
        self._refuse_waiting()
        self._connection.close()

    def _run(self) -> None:
        while True:
            taken, last = self._take()
            if taken:
                failure = self._commit([message for messages, _ in taken for message in messages])
                self._answer([answer for _, answer in taken], failure)
            if last:
                return

    def _take(self) -> tuple[list[_Waiting], bool]:
        """Wait for something, then take all that is there; also tells whether it is the last."""
        first = self._waiting.get()
        rest = [self._waiting.get() for _ in range(self._waiting.qsize())]  # nobody else takes
        taken = [waiting for waiting in (first, *rest) if waiting is not None]
        return taken, len(taken) <= len(rest)

    def _answer(self, answers: Sequence[asyncio.Future[None]], failure: str | None) -> None:
        """Settle the answers, each in its own event loop."""
        for loop, own in groupby(answers, key=asyncio.Future.get_loop):
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(self._settle, list(own), failure)

    def _settle(self, answers: Sequence[asyncio.Future[None]], failure: str | None) -> None:
        for answer in answers:
            if answer.done():
                continue  # its caller waits no more
            if failure is None:
                answer.set_result(None)
            else:
                answer.set_exception(self._refusal(failure))

    def _refuse_waiting(self) -> None:
        with suppress(Empty):
            while True:
                if waiting := self._waiting.get_nowait():
                    self._answer([waiting[1]], "it is being closed")

    def _refusal(self, why: str) -> BrokerFull:
        return BrokerFull(str(self.path), why, retry_after_s=RETRY_AFTER_S)

    def _commit(self, messages: Sequence[Message]) -> str | None:
        """Store all messages or none, and tell why none."""
        kept_ids = self._kept_ids
        try:
            if self._free_bytes() < FREE_BYTES:
                return f"the disk has less than {FREE_BYTES >> 20} MiB left"
            with database.transaction(self._connection):
                for group in cut(messages, most_messages=GROUP_MESSAGES, most_bytes=GROUP_BYTES):
                    self._insert(group)
                self._forget_old_ids()
        except Exception as error:  # noqa: BLE001 - a dead thread would leave every caller waiting for ever
            self._kept_ids = kept_ids
            self._mend(error)
            return f"{type(error).__name__}: {error}"
        return None

    def _free_bytes(self) -> int:
        """Count what is free on the disk, and in the file if the disk alone is not enough."""
        disk = os.statvfs(self.path.parent)
        free = disk.f_bavail * disk.f_frsize
        if free < FREE_BYTES:
            free += database.free_bytes(self._connection)
        return free

    def _mend(self, error: Exception) -> None:
        """Open the database anew after an error of the disk; a full disk or a lock leaves the connection sound."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
            return
        with suppress(sqlite3.Error, BadInput):  # the next commit fails likewise, and says so
            self._connection.close()
            self._connection = self._open()
            self._kept_ids = self._count_ids()

    def _insert(self, group: Sequence[Message]) -> None:
        ids = event_ids(group)
        commit = self._connection.execute(
            "INSERT INTO commits (time_micros, events, event_ids) VALUES (?, ?, ?)",
            (time.time_ns() // 1_000, len(ids), orjson.dumps(ids).decode()),
        ).lastrowid
        self._connection.execute("INSERT INTO groups VALUES (?, ?, ?, ?)", (commit, *pack(group)))
        self._connection.execute(
            "INSERT INTO slices VALUES (?, 0, 0, 0, ?, ?)", (commit, len(group), positions.to_text(range(len(group))))
        )
        self._kept_ids += len(ids)

    def _forget_old_ids(self) -> None:
        """Drop the ids of the oldest commits, whole commits at a time; the newest stays, as commit ids follow on it."""
        while self._kept_ids > KEPT_IDS:
            oldest, events = self._connection.execute("SELECT id, events FROM commits ORDER BY id LIMIT 1").fetchone()
            if self._kept_ids - events < KEPT_IDS:
                return
            self._connection.execute("DELETE FROM commits WHERE id = ?", (oldest,))
            self._kept_ids -= events
