"""The snapshot of every player's running state: one LMDB file, written by the stream and mapped by every reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import lmdb

from questline_core.errors import BadInput, NotReady
from questline_core.features.scrub import holds_bytes, scrub
from questline_core.features.state import PlayerState, decode, encode

_MAP_BYTES = 64 * 2**30  # address space and not disk: the file grows with what is in it
_LONGEST_KEY = 511  # LMDB's own limit


def _key(player: str) -> bytes:
    """Make the key of a player; an id that LMDB cannot hold is replaced by its hash."""
    key = player.encode()
    return key if 0 < len(key) <= _LONGEST_KEY else b"sha256:" + hashlib.sha256(key).hexdigest().encode()


def _put(transaction: lmdb.Transaction, states: Iterable[tuple[str, PlayerState]]) -> int:
    count = 0
    for player, state in states:
        transaction.put(_key(player), encode(state))
        count += 1
    return count


class FeatureStore:
    """Player -> running state. Any number of processes may read while one writes; open it after a fork, not before."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self._folder, self._writable = folder, writable
        self._file = folder / "data.mdb"
        self._env: lmdb.Environment | None = None

    def _opened(self) -> lmdb.Environment | None:
        """Open the file on first use: a reader may start long before the first snapshot is written."""
        if self._env is None and (self._writable or self._file.exists()):
            try:
                self._env = lmdb.open(
                    str(self._folder),
                    map_size=_MAP_BYTES,
                    readonly=not self._writable,
                    create=self._writable,
                    readahead=False,  # one page a player, in no order
                    max_readers=1024,
                )
            except lmdb.Error as error:
                raise NotReady(
                    f"the feature snapshot in {self._folder} cannot be opened ({error}); it holds nothing of its own: "
                    "remove the folder and the stream writes it again"
                ) from None
        return self._env

    def get(self, player: str) -> PlayerState | None:
        """Look up the state of a player; None for a player that no snapshot knows yet.

        Raises:
            NotReady: there is a snapshot, but it cannot be read.
        """
        env = self._opened()
        if env is None:
            return None
        with env.begin(buffers=True) as transaction:
            packed = transaction.get(_key(player))
            return None if packed is None else decode(packed)

    def put_many(self, states: Iterable[tuple[str, PlayerState]]) -> int:
        """Write all these states in one step that readers see whole, and count them."""
        with self._to_write().begin(write=True) as transaction:
            return _put(transaction, states)

    def replace(self, states: Iterable[tuple[str, PlayerState]]) -> int:
        """Put these states in place of all that are there, in one step that readers see whole, and count them.

        No page of the file holds anybody else afterwards.
        """
        env = self._to_write()
        before = env.stat()["entries"]
        with env.begin(write=True) as transaction:
            transaction.drop(env.open_db(None, transaction), delete=False)
            count = _put(transaction, states)
        if before:
            scrub(env)
        return count

    def _to_write(self) -> lmdb.Environment:
        env = self._opened()
        if env is None or not self._writable:
            raise BadInput(f"the feature snapshot in {self._folder} was opened to read")
        return env

    def erase(self, player: str) -> bool:
        """Remove a player for good: no page of the file holds the id afterwards. Tells whether the player was known."""
        env = self._opened()
        if env is None or not holds_bytes(self._file, _key(player)):
            return False
        with env.begin(write=True) as transaction:
            known = transaction.delete(_key(player))
        scrub(env)
        return bool(known)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file."""
        if self._env is not None:
            self._env.close()
            self._env = None


def open_reader(folder: Path) -> FeatureStore:
    """Open the snapshot to read; it need not exist yet."""
    return FeatureStore(folder, writable=False)


def open_writer(folder: Path) -> FeatureStore:
    """Open the snapshot to write, and make it if need be.

    Raises:
        BadInput: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"cannot write {folder} ({error.strerror}); make the folder writable or set QUESTLINE_HOME"
        ) from None
    return FeatureStore(folder, writable=True)
