"""The broker port over a folder of databases: one to publish into, all of them to consume from."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from questline_core.broker.port import Delivery, Message
from questline_core.broker.spool.database import unusable
from questline_core.broker.spool.reader import Held, Positions, Reader, parse_ack_ids
from questline_core.broker.spool.writer import Writer
from questline_core.errors import BadInput, NotReady
from questline_core.garbage import held_back

DEFAULT_PROCESS = "gateway-0"
MAX_BYTES = 4 << 30

log = structlog.get_logger()


class Spool:
    """The embedded broker. A consumer sees the databases of all processes, also of those that have died."""

    def __init__(self, folder: Path, *, process: str, max_bytes: int, clock: Callable[[], float]) -> None:
        """See `open_spool`."""
        self.folder, self._process, self._max_bytes, self._clock = folder, process, max_bytes, clock
        self._readers: dict[Path, Reader] = {}
        self._told: set[Path] = set()
        self._turn = 0
        self._writer = Writer(self._own(), max_bytes=max_bytes) if process else None

    async def publish(self, messages: Sequence[Message]) -> None:
        """Return when all messages are durable.

        Raises:
            BrokerFull: no message of this call is durable.
        """
        if self._writer is None:
            self._writer = Writer(self._own(), max_bytes=self._max_bytes)
        if messages:
            await self._writer.publish(messages)

    def pull(self, *, max_messages: int, lease_s: float) -> list[Delivery]:
        """Take up to `max_messages` that nobody holds; empty when there are none now."""
        deliveries: list[Delivery] = []
        readers, now = self._all(), self._clock()
        self._turn += 1  # each database is the first in turn, so that a busy process does not hide the others
        for i in range(len(readers)):
            reader = readers[(i + self._turn) % len(readers)]
            if len(deliveries) == max_messages:
                break
            with self._served(reader), held_back():
                deliveries += reader.take(max_messages - len(deliveries), now=now, until=now + lease_s)
        return deliveries

    def ack(self, ack_ids: Sequence[str]) -> None:
        """Mark deliveries as done; ids that are unknown, or whose message was handed out anew, are ignored."""
        for reader, held in self._held(ack_ids):
            with self._served(reader):
                reader.ack(held)

    def nack(self, ack_ids: Sequence[str]) -> None:
        """Give deliveries back, to be delivered again at once or kept as dead letters after `MAX_ATTEMPTS`."""
        for reader, held in self._held(ack_ids):
            with self._served(reader):
                reader.nack(held, now=self._clock())

    def depth(self) -> int:
        """Count the messages that are not acked yet, dead letters left out."""
        return self._sum(Reader.depth)

    def dead_letters(self) -> int:
        """Count the messages that were given up; they lie in the tables `dead_letters`."""
        return self._sum(Reader.dead_letters)

    def erase(self, matches: Callable[[Message], bool]) -> int:
        """Remove all messages that match and their bytes, in all databases; ids of events stay known as duplicates.

        Raises:
            NotReady: names the files that could not be searched; all others are done.
        """
        erased, failures = 0, [f"{path} cannot be searched; delete it" for path in self._unsearchable()]
        for reader in self._all():
            try:
                erased += reader.erase(matches)
            except NotReady as error:
                failures.append(str(error))
        if failures:
            raise NotReady("; ".join(failures))
        return erased

    def recent_ids(self, limit: int) -> list[str]:
        """Give the ids of the newest events, oldest first, whether they are consumed or not.

        The newest 200,000 of each publishing process are known. `limit` cuts between commits, so a few more may come.
        """
        commits = [commit for reader in self._all() for commit in self._newest(reader, limit)]
        ids: list[list[str]] = []
        for _, event_ids in sorted(commits, key=lambda commit: commit[0], reverse=True):
            if limit <= 0:
                break
            ids.append(event_ids)
            limit -= len(event_ids)
        return [event_id for event_ids in reversed(ids) for event_id in event_ids]

    def close(self) -> None:
        """Release files and threads; what is durable stays."""
        if self._writer is not None:
            self._writer.close()
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _own(self) -> Path:
        return self.folder / f"{self._process or DEFAULT_PROCESS}.db"

    def _newest(self, reader: Reader, limit: int) -> Iterator[tuple[int, list[str]]]:
        with self._served(reader):
            for time_micros, event_ids in reader.commits():
                if limit <= 0:
                    return
                limit -= len(event_ids)
                yield time_micros, event_ids

    def _sum(self, count: Callable[[Reader], int]) -> int:
        total = 0
        for reader in self._all():
            with self._served(reader):
                total += count(reader)
        return total

    def _unsearchable(self) -> list[Path]:
        """Give the databases that are left out, and those that were moved aside."""
        readable = {reader.path for reader in self._all()}
        left_out = [path for path in self.folder.glob("*.db") if path not in readable]
        return sorted([*left_out, *self.folder.glob("*.db.damaged-*")])

    def _all(self) -> list[Reader]:
        """Open the databases that are new in the folder, and give all that can be read."""
        for path in [path for path, reader in self._readers.items() if reader.is_gone()]:
            self._readers.pop(path).close()
        for path in sorted(self.folder.glob("*.db")):
            if path not in self._readers:
                try:
                    self._readers[path] = Reader(path)
                    self._told.discard(path)
                except BadInput as error:
                    self._tell(path, error)
        return list(self._readers.values())

    def _tell(self, path: Path, error: BadInput) -> None:
        """Log once that a database is left out; it is tried again each time."""
        if path not in self._told:
            self._told.add(path)
            log.warning("spool database left out", file=str(path), reason=str(error))

    @contextmanager
    def _served(self, reader: Reader) -> Iterator[None]:
        """Keep one database's failure from the others: a lock or a full disk passes, any other leaves it out."""
        try:
            yield
        except sqlite3.OperationalError as error:
            log.warning("spool database not served now", file=str(reader.path), reason=str(error))
        except sqlite3.DatabaseError as error:
            self._readers.pop(reader.path).close()
            self._tell(reader.path, unusable(reader.path, error))

    def _held(self, ack_ids: Sequence[str]) -> list[tuple[Reader, Mapping[Held, Positions]]]:
        processes = parse_ack_ids(ack_ids)
        return [(reader, processes[reader.path.stem]) for reader in self._all() if reader.path.stem in processes]


def open_spool(
    folder: str, *, process: str = "", max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time
) -> Spool:
    """Open the spool in a folder, which is made if need be.

    Args:
        folder: holds one database for each publishing process.
        process: name of the process that publishes, such as `gateway-0`; its database is opened at once. Without it a
            database is opened when something is published.
        max_bytes: the database of this process grows no larger; then publishing is refused.
        clock: seconds since 1970, for leases; all consumers of a folder must agree on it.

    Raises:
        BadInput: the folder cannot be written, or the process's database is not one.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]*", process):
        raise BadInput(f"a spool cannot be named {process!r}; use letters, digits, dots and dashes")
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise BadInput(
            f"the spool's folder {path} cannot be written ({error.strerror}); make it writable or set QUESTLINE_HOME"
        ) from None
    return Spool(path, process=process, max_bytes=max_bytes, clock=clock)
