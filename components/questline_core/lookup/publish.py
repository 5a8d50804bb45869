"""Make a new generation of the lookup of scored players, and let it take the place of the one before in one step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from questline_core.durable import make_folder, put_in_place, settle, sync
from questline_core.errors import BadInput
from questline_core.lookup.manifest import (
    CURRENT,
    PLAYERS,
    Damaged,
    Manifest,
    checksum,
    current_name,
    now,
    write_manifest,
)
from questline_core.lookup.reader import open_generation
from questline_core.lookup.score import KEY_BYTES, UNKNOWN, key_of
from questline_core.warehouse.lock import write_lock

_FIELDS: list[pa.Field[Any]] = [
    pa.field("user_pseudo_id", pa.string(), nullable=False),
    pa.field("probability", pa.float64(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("churned", pa.int64()),
    pa.field("reasons", pa.list_(pa.string())),
]
SCHEMA = pa.schema(_FIELDS)
"""Columns of the rows that are published: `churned` is 1, 0 or not decided; `reasons` are the strongest features."""

KEEP = 2
"""Generations that stay: the one that answers, and the one before for readers that are about to leave it."""

_ROW = np.dtype([("key", f"V{KEY_BYTES}"), ("probability", "<f4"), ("source", "u1"), ("outcome", "u1"), ("why", "<u2")])
_MOST_SOURCES, _MOST_REASONS = 2**8, 2**16
_JOINT = "\x1f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for a generation as a whole."""

    prior: float
    """The probability for a player who is in no row."""
    threshold: float
    """From this probability on a player counts as leaving."""
    lineage: Mapping[str, Any]
    """What the rows came from, as JSON can hold it."""

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        for name in ("prior", "threshold"):
            _check_probability(name, np.array([getattr(self, name)]))


def publish(root: Path, batches: Iterable[pa.RecordBatch], terms: Terms, *, key: bytes) -> Manifest:
    """Write a generation of all these rows and let it answer; readers see it whole or not at all.

    Args:
        root: the folder of the generations, made if need be.
        batches: rows with the columns of `SCHEMA`, each player once, in any order.
        terms: the prior, the threshold and the lineage.
        key: what the generation is signed with.

    Raises:
        BadInput: a row cannot be used, two rows are of one player, or the folder cannot be written.
        NotReady: another process kept publishing.
    """
    coder = _Coder()
    rows = _sorted(np.concatenate([coder.encode(batch) for batch in batches] or [np.empty(0, _ROW)]))
    with writing(root) as writer:
        told = Manifest(
            generation=writer.next_name(),
            created=now().isoformat(),
            players=len(rows),
            prior=terms.prior,
            threshold=terms.threshold,
            sources=tuple(coder.sources),
            reasons=tuple(tuple(text.split(_JOINT)) if text else () for text in coder.reasons),
            sha256="",
            lineage=terms.lineage,
        )
        return writer.put(told, _pairs(rows), key=key)


class Writer:
    """The folder of generations while the calling process is the only one that writes there."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def next_name(self) -> str:
        """Name the generation that comes next."""
        numbers = [int(path.name[1:]) for path in self.generations()]
        return f"g{max(numbers, default=0) + 1:06d}"

    def generations(self) -> list[Path]:
        """List the generations, oldest first."""
        return sorted(path for path in self._root.glob("g[0-9]*") if path.name[1:].isdigit())

    def put(self, told: Manifest, pairs: Iterable[tuple[bytes, bytes]], *, key: bytes) -> Manifest:
        """Write a generation of sorted keys and their values, point to it, and remove those that are too old."""
        aside = self._root / f".{told.generation}.{os.getpid()}"
        try:
            aside.mkdir()
            players = aside / PLAYERS
            _write_players(players, pairs, rows=told.players)
            told = replace(told, sha256=checksum(players))
            write_manifest(aside, told, key=key)
            settle(aside, self._root / told.generation)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        put_in_place(self._root / CURRENT, told.generation.encode("ascii"))
        self.keep(KEEP)
        return told

    def keep(self, count: int) -> None:
        """Remove all but the newest generations; a process that has one mapped goes on reading it."""
        for path in self.generations()[:-count]:
            shutil.rmtree(path)
        for path in self._root.glob(".g*"):  # of a process that was killed: whoever holds the lock is the only writer
            shutil.rmtree(path)
        sync(self._root)


@contextmanager
def writing(root: Path) -> Iterator[Writer]:
    """Be the only writer of a folder of generations until the block ends.

    Raises:
        BadInput: the folder cannot be written.
        NotReady: another process kept writing.
    """
    try:
        make_folder(root)
        with write_lock(root):
            yield Writer(root)
    except OSError as error:
        raise BadInput(
            f"cannot write the lookup in {root} ({error.strerror or error}); make the folder writable or set "
            "QUESTLINE_HOME"
        ) from None


def erase(root: Path, player: str, *, key: bytes) -> int:
    """Publish the generation that answers without this player, remove all others, and count the generations with him.

    Raises:
        Damaged: the generation that answers cannot be copied, so that nothing was changed.
        BadInput: the folder cannot be written.
        NotReady: another process kept publishing.
    """
    if not current_name(root):
        return 0
    with writing(root) as writer:
        gone = key_of(player)
        held = [path for path in writer.generations() if holds(path, player, key=key)]
        if not held:
            return 0
        answering = open_generation(root / current_name(root), key=key)
        pairs = ((known, value) for known, value in answering.pairs() if known != gone)
        rows = answering.told.players - answering.has(gone)
        writer.put(replace(answering.told, generation=writer.next_name(), players=rows), pairs, key=key)
        writer.keep(1)
        return len(held)


def holds(folder: Path, player: str, *, key: bytes) -> bool:
    """Tell whether a generation knows this player; one that is damaged counts as if it did."""
    try:
        return open_generation(folder, key=key).has(key_of(player))
    except Damaged:
        return True


class _Coder:
    """Turns rows into fixed bytes; the texts among them become numbers."""

    def __init__(self) -> None:
        self.sources: dict[str, int] = {}
        self.reasons: dict[str, int] = {"": 0}

    def encode(self, batch: pa.RecordBatch) -> NDArray[Any]:
        if batch.schema != SCHEMA:
            raise BadInput(f"rows for the lookup must have the columns {SCHEMA.names}; these have {batch.schema.names}")
        for name in ("user_pseudo_id", "probability", "source"):
            if batch[name].null_count:
                raise BadInput(f"a row for the lookup has no {name}; give one to every row")
        rows = np.empty(batch.num_rows, _ROW)
        players: list[Any] = batch["user_pseudo_id"].to_pylist()
        keys = b"".join([blake2b(player.encode(), digest_size=KEY_BYTES).digest() for player in players])
        rows["key"] = np.frombuffer(keys, rows.dtype["key"])
        rows["probability"] = _check_probability("probability", batch["probability"].to_numpy())
        rows["outcome"] = batch["churned"].fill_null(-1).to_numpy(zero_copy_only=False) + 1
        rows["source"] = _codes(batch["source"], self.sources, _MOST_SOURCES, "sources")
        reasons: Any = pc.binary_join(batch["reasons"], _JOINT)
        rows["why"] = _codes(reasons.fill_null(""), self.reasons, _MOST_REASONS, "different combinations of reasons")
        if UNKNOWN in self.sources:
            raise BadInput(f"{UNKNOWN!r} is the source of players who are in no row; name another one")
        return rows


def _codes(texts: Any, known: dict[str, int], most: int, what: str) -> NDArray[Any]:
    """Number the texts, new ones after those that are known."""
    encoded = texts.dictionary_encode()
    numbers = [known.setdefault(text, len(known)) for text in encoded.dictionary.to_pylist()]
    if len(known) > most:
        raise BadInput(f"the lookup holds at most {most} {what}, and these rows have more; give fewer reasons a row")
    codes: NDArray[Any] = np.array(numbers, np.uint32)[encoded.indices.to_numpy()]
    return codes


def _check_probability(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if not np.all((values >= 0) & (values <= 1)):
        raise BadInput(f"a {name} for the lookup is {values[~((values >= 0) & (values <= 1))][0]}; give 0 to 1")
    return values


def _sorted(rows: NDArray[Any]) -> NDArray[Any]:
    """Order the rows by key, and make sure that no two have the same: one player twice, or two of one hash."""
    halves = np.ascontiguousarray(rows["key"]).view(">u8").reshape(-1, 2).astype("u8")
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    halves = halves[order]
    if len(rows) and np.any(np.all(halves[1:] == halves[:-1], axis=1)):
        raise BadInput("two rows for the lookup are of one player, or of players with the same hash; give each once")
    return rows[order]


def _pairs(rows: NDArray[Any]) -> Iterator[tuple[bytes, bytes]]:
    content, width = rows.tobytes(), _ROW.itemsize
    return (
        (content[at : at + KEY_BYTES], content[at + KEY_BYTES : at + width]) for at in range(0, len(content), width)
    )


def _write_players(path: Path, pairs: Iterable[tuple[bytes, bytes]], *, rows: int) -> None:
    room = 64 * rows + 2**20  # twice of what it takes
    with lmdb.open(str(path), subdir=False, map_size=room, lock=False, sync=False, metasync=False) as env:
        with env.begin(write=True) as transaction:
            transaction.cursor().putmulti(pairs, append=True)
        env.sync(True)  # noqa: FBT003 - LMDB takes it by place only
    path.chmod(0o444)
