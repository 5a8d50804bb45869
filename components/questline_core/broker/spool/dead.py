"""The dead letters of all databases of the spool."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import orjson

from questline_core.broker.dead import DeadLetter
from questline_core.broker.port import Message
from questline_core.broker.spool import database


class SpoolDeadLetters:
    """Reads the tables `dead_letters`; a letter is named DATABASE/NUMBER."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, limit: int) -> Sequence[DeadLetter]:
        """Look at up to `limit` dead letters, those of each database oldest first."""
        found = list[DeadLetter]()
        for path, connection in self._databases():
            rows = connection.execute(
                "SELECT id, attempts, reason, payload, attributes FROM dead_letters ORDER BY id LIMIT ?",
                (limit - len(found),),
            )
            found += [
                DeadLetter(
                    name=f"{path.stem}/{number}",
                    message=Message(bytes(payload), orjson.loads(attributes)),
                    attempts=attempts,
                    reason=reason,
                )
                for number, attempts, reason, payload, attributes in rows
            ]
        return found

    def remove(self, names: Collection[str]) -> None:
        """Remove dead letters by name."""
        pairs = [name.rpartition("/") for name in names]
        for path, connection in self._databases():
            numbers = [(int(number),) for stem, _, number in pairs if stem == path.stem]
            with database.transaction(connection):
                connection.executemany("DELETE FROM dead_letters WHERE id = ?", numbers)

    def close(self) -> None:
        """Do nothing: databases are open only while they are read."""

    def _databases(self) -> Iterator[tuple[Path, Connection]]:
        for path in sorted(self._folder.glob("*.db")):
            with closing(database.connect(path, synchronous="FULL")) as connection:
                yield path, connection


def open_dead_letters(folder: str) -> SpoolDeadLetters:
    """Open the dead letters of the spool in a folder."""
    return SpoolDeadLetters(Path(folder))
