"""Hand out the messages of one database under leases, and remove what was consumed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TypeAlias

import orjson

from questline_core.broker.port import MAX_ATTEMPTS, MESSAGE_ID, Delivery, Message
from questline_core.broker.spool import database, erasure, positions
from questline_core.broker.spool.group import DamagedGroup, drop_empty, messages_of, stored
from questline_core.errors import NotReady

KEPT_FREE_BYTES = 64 << 20
"""Free pages up to this size stay in the file for the next events; what is more is given back to the disk, which costs
more than an event's whole way through the spool."""

VACUUM_BYTES = 16 << 20
"""Given back at once: publishing waits meanwhile."""

Held: TypeAlias = tuple[int, int]
"""Group, attempt: what was handed out together."""

Positions: TypeAlias = set[int]
"""Of messages in their group."""


_delivery = partial(tuple.__new__, Delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    group: int
    part: int
    attempt: int
    positions: Sequence[int]


class Reader:
    """One database, as its consumers see it; any number of processes may have one open."""

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            BadInput: the file is not a spool database, or cannot be written.
        """
        self.path = path
        # An acknowledgement that a power cut takes back only brings its message again.
        self._connection = database.connect(path, synchronous="NORMAL")
        self._identity = database.identity(self._connection, path)
        self._inode = path.stat().st_ino

    def take(self, limit: int, *, now: float, until: float) -> list[Delivery]:
        """Take up to `limit` messages that nobody holds at `now`, and hold them `until` then."""
        if not self._free_slices(1, now):
            return []
        # Publishing waits for this lock, so messages are read after it.
        with database.transaction(self._connection):
            held = self._hold_free(limit, now=now, until=until)
        return [delivery for piece in held for delivery in self._deliveries(piece, now)]

    def ack(self, held: Mapping[Held, Positions]) -> None:
        """Remove messages that are held by these deliveries."""
        whole: list[_Slice] = []
        partly: dict[Held, Positions] = {}
        for delivered, acked in held.items():
            for piece in self._held_slices(*delivered):
                if acked.issuperset(piece.positions):
                    whole.append(piece)
                else:
                    partly[delivered] = acked
        with database.transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM slices WHERE (group_id, part, attempt, positions) = (?, ?, ?, ?) AND held_until > 0",
                [(piece.group, piece.part, piece.attempt, positions.to_text(piece.positions)) for piece in whole],
            )
            for piece, some in self._matching(partly):
                self._shrink(piece, some)
            drop_empty(self._connection, {group for group, _ in held})
        self._give_space_back()

    def nack(self, held: Mapping[Held, Positions], *, now: float) -> None:
        """Make messages that are held by these deliveries free, or dead letters after their last attempt."""
        with database.transaction(self._connection):
            for piece, nacked in self._matching(held):
                self._shrink(piece, nacked)
                if piece.attempt >= MAX_ATTEMPTS:
                    self._bury(piece, nacked, "it was given back every time", now)
                else:
                    self._add_slice(piece.group, piece.attempt, 0, nacked)
            drop_empty(self._connection, {group for group, _ in held})

    def depth(self) -> int:
        """Count the messages that are not acked yet."""
        return self._count("SELECT coalesce(sum(messages), 0) FROM slices")

    def dead_letters(self) -> int:
        """Count the messages that were given up."""
        return self._count("SELECT count(*) FROM dead_letters")

    def commits(self) -> Iterator[tuple[int, list[str]]]:
        """Go back over the commits: their time in microseconds, and their event ids."""
        for time_micros, ids in self._connection.execute("SELECT time_micros, event_ids FROM commits ORDER BY id DESC"):
            yield time_micros, orjson.loads(ids)

    def erase(self, matches: Callable[[Message], bool]) -> int:
        """Remove what matches and its bytes, and count it.

        Raises:
            NotReady: the database cannot be searched or written to the end.
        """
        try:
            return erasure.erase(self._connection, matches)
        except (sqlite3.Error, DamagedGroup) as error:
            raise NotReady(
                f"{self.path} may still hold messages to be erased ({error}); try again, or delete "
                "the file if it is damaged"
            ) from None

    def is_gone(self) -> bool:
        """Tell whether no file, or another one, has the name by now: a damaged database was deleted or moved aside."""
        try:
            return self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _count(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchone()[0])

    def _free_slices(self, limit: int, now: float) -> list[_Slice]:
        return self._slices("WHERE held_until <= ? ORDER BY group_id, part LIMIT ?", now, limit)

    def _slices(self, which: str, *values: float) -> list[_Slice]:
        rows = self._connection.execute(f"SELECT group_id, part, attempt, positions FROM slices {which}", values)  # noqa: S608 - `which` is ours
        return [_Slice(group=g, part=p, attempt=a, positions=positions.from_text(text)) for g, p, a, text in rows]

    def _held_slices(self, group: int, attempt: int) -> list[_Slice]:
        return self._slices("WHERE (group_id, attempt) = (?, ?) AND held_until > 0", group, attempt)

    def _hold_free(self, limit: int, *, now: float, until: float) -> list[_Slice]:
        whole: list[_Slice] = []
        parts: list[_Slice] = []
        for free in self._free_slices(limit, now):
            if free.attempt >= MAX_ATTEMPTS:
                self._bury(free, free.positions, "no consumer answered for it in time", now)
                self._shrink(free, free.positions)
                drop_empty(self._connection, [free.group])
                continue
            held = replace(free, attempt=free.attempt + 1, positions=free.positions[:limit])
            limit -= len(held.positions)
            if len(held.positions) == len(free.positions):
                whole.append(held)
            else:
                parts.append(held)
                self._shrink(free, held.positions)
                self._add_slice(held.group, held.attempt, until, held.positions)
            if not limit:
                break
        self._connection.executemany(
            "UPDATE slices SET attempt = ?, held_until = ? WHERE (group_id, part) = (?, ?)",
            [(piece.attempt, until, piece.group, piece.part) for piece in whole],
        )
        return whole + parts

    def _deliveries(self, held: _Slice, now: float) -> Iterator[Delivery]:
        try:
            messages = messages_of(self._connection, held.group)
        except DamagedGroup:
            self._give_up_group(held, now)
            messages = []
        if not messages:  # given up, or erased by another process since these were held
            return iter(())
        names = [str(position) for position in held.positions]
        if len(names) < len(messages):
            messages = [messages[position] for position in held.positions]
        ack_prefix, id_prefix = f"{self.path.stem}/{held.group}/{held.attempt}/", f"{self._identity}-{held.group}-"
        for (_, attributes), name in zip(messages, names, strict=True):
            attributes[MESSAGE_ID] = id_prefix + name  # type: ignore[index] # `unpack` made it
        return map(_delivery, zip(messages, [ack_prefix + name for name in names], repeat(held.attempt)))

    def _give_up_group(self, piece: _Slice, now: float) -> None:
        with database.transaction(self._connection):
            self._keep_unreadable(piece, now)
            self._connection.execute("DELETE FROM slices WHERE group_id = ?", (piece.group,))
            drop_empty(self._connection, [piece.group])

    def _matching(self, held: Mapping[Held, Positions]) -> Iterator[tuple[_Slice, Sequence[int]]]:
        """Find the held slices of these deliveries; a message that was handed out anew is in none of them."""
        for delivered, asked in held.items():
            for piece in self._held_slices(*delivered):
                if found := [position for position in piece.positions if position in asked]:
                    yield piece, found

    def _shrink(self, piece: _Slice, gone: Collection[int]) -> None:
        if len(gone) == len(piece.positions):
            self._connection.execute("DELETE FROM slices WHERE (group_id, part) = (?, ?)", (piece.group, piece.part))
            return
        left = sorted(set(piece.positions).difference(gone))
        self._connection.execute(
            "UPDATE slices SET messages = ?, positions = ? WHERE (group_id, part) = (?, ?)",
            (len(left), positions.to_text(left), piece.group, piece.part),
        )

    def _add_slice(self, group: int, attempt: int, until: float, members: Sequence[int]) -> None:
        self._connection.execute(
            "INSERT INTO slices SELECT ?, coalesce(max(part), -1) + 1, ?, ?, ?, ? FROM slices WHERE group_id = ?",
            (group, attempt, until, len(members), positions.to_text(members), group),
        )

    def _bury(self, piece: _Slice, members: Sequence[int], reason: str, now: float) -> None:
        try:
            messages = messages_of(self._connection, piece.group)
        except DamagedGroup:
            self._keep_unreadable(piece, now)
            return
        self._keep_dead(piece.attempt, reason, now, [messages[position] for position in members])

    def _keep_unreadable(self, piece: _Slice, now: float) -> None:
        """Keep what is left of a group that cannot be read, whole, unless that was done for another slice of it."""
        if found := stored(self._connection, piece.group):
            raw = Message(found.head + found.data, {})
            self._keep_dead(piece.attempt, "its commit group cannot be read", now, [raw])

    def _keep_dead(self, attempts: int, reason: str, now: float, dead: Sequence[Message]) -> None:
        self._connection.executemany(
            "INSERT INTO dead_letters (time_micros, attempts, reason, payload, attributes) VALUES (?, ?, ?, ?, ?)",
            [(int(now * 1e6), attempts, reason, m.data, orjson.dumps(m.attributes).decode()) for m in dead],
        )

    def _give_space_back(self) -> None:
        surplus = database.free_bytes(self._connection) - KEPT_FREE_BYTES
        if surplus < VACUUM_BYTES:
            return
        pages = min(surplus, VACUUM_BYTES) // database.page_bytes(self._connection)
        # `execute` would end this pragma after its first page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages}); PRAGMA wal_checkpoint(TRUNCATE)")


def parse_ack_ids(ack_ids: Sequence[str]) -> Mapping[str, Mapping[Held, Positions]]:
    """Sort ack ids by process and by what was handed out together; what is no ack id of a spool is left out."""
    positions_of: dict[str, Positions] = {}
    for ack_id in ack_ids:
        prefix, _, position = ack_id.rpartition("/")
        if position.isdecimal():
            positions_of.setdefault(prefix, set()).add(int(position))
    processes: dict[str, dict[Held, Positions]] = {}
    for prefix, members in positions_of.items():
        process, *held = prefix.split("/")
        if [part.isdecimal() for part in held] == [True, True]:
            processes.setdefault(process, {})[int(held[0]), int(held[1])] = members
    return processes
