"""Answer from the lookup's snapshot: one file that all processes map, replaced while they answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import lmdb
import structlog

from questline_core.errors import NotReady
from questline_core.lookup.manifest import PLAYERS, Damaged, Manifest, checksum, current_name, now, read_manifest
from questline_core.lookup.score import OUTCOMES, TAIL, UNKNOWN, VALUE, Score, key_of

log = structlog.get_logger()


class Generation:
    """One generation, mapped. It never changes, so any thread may ask it; its file is unmapped with its last user."""

    def __init__(self, folder: Path, told: Manifest, env: lmdb.Environment) -> None:
        self.folder, self.told = folder, told
        self.unknown = Score(told.prior, UNKNOWN, None, ())
        self._env = env
        self._local = threading.local()
        self._tails: dict[bytes, tuple[str, bool | None, tuple[str, ...]]] = {}

    def get(self, player: str) -> Score:
        """Look one player up; one who is not known gets the prior, with the source `unknown`."""
        value = self._find()(key_of(player))
        return self.unknown if value is None else self._score(value)

    def get_many(self, players: Iterable[str]) -> list[Score]:
        """Look players up, in their order; all answers are of this generation."""
        find, score, unknown = self._find(), self._score, self.unknown
        return [unknown if (value := find(key_of(player))) is None else score(value) for player in players]

    def has(self, key: bytes) -> bool:
        """Tell whether there is a player with this key."""
        return self._find()(key) is not None

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all keys and values as they lie in the file, in order."""
        with self._env.begin() as transaction:
            yield from transaction.cursor()

    def _find(self) -> Callable[[bytes], bytes | None]:
        """Give the calling thread's read transaction, which LMDB lets no two threads share."""
        try:
            return self._local.find  # type: ignore[no-any-return]
        except AttributeError:
            self._local.find = self._env.begin().get
            return self._local.find  # type: ignore[no-any-return]

    def _score(self, value: bytes) -> Score:
        probability, tail = VALUE.unpack(value)
        source, churned, reasons = self._tails.get(tail) or self._decode(tail)
        return Score(probability, source, churned, reasons)

    def _decode(self, tail: bytes) -> tuple[str, bool | None, tuple[str, ...]]:
        """Read what many players have in common, once for each kind."""
        source, outcome, reasons = TAIL.unpack(tail)
        decoded = self.told.sources[source], OUTCOMES[outcome], self.told.reasons[reasons]
        self._tails[tail] = decoded
        return decoded


_mapped: WeakValueDictionary[tuple[Path, bytes], Generation] = WeakValueDictionary()
_mapping = threading.Lock()


def open_generation(folder: Path, *, key: bytes) -> Generation:
    """Map a generation after its signature and checksum were found right; one that is mapped already is shared.

    Raises:
        Damaged: it is not what was published.
    """
    folder = folder.resolve()
    with _mapping:  # LMDB opens one file only once in a process
        if known := _mapped.get((folder, key)):
            return known
        told = read_manifest(folder, key=key)
        players = folder / PLAYERS
        try:
            if checksum(players) != told.sha256:
                raise Damaged(folder, f"the checksum of {PLAYERS} is not the one that was published")
            env = lmdb.open(str(players), subdir=False, readonly=True, lock=False, readahead=False, create=False)
        except (OSError, lmdb.Error) as error:
            raise Damaged(folder, f"{PLAYERS} cannot be opened ({error})") from None
        found = _mapped[folder, key] = Generation(folder, told, env)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupFacts:
    """What a process says of its lookup, for metrics and status."""

    generation: str
    age_s: float
    players: int
    refused: str
    """Why the newest generation does not answer; empty when it does."""


class Lookup:
    """Follows the folder of generations: `refresh` from time to time, and ask. Open it after a fork, not before."""

    def __init__(self, root: Path, *, key: bytes) -> None:
        self._root, self._key = root, key
        self._now: Generation | None = None
        self._refused: tuple[str, str] = ("", "")
        """Name of the generation that was refused, and why."""

    def refresh(self) -> bool:
        """Take the newest generation if it is another one; True when it answers from now on.

        A damaged one is refused once, and what answered before answers on. Reading the checksum of ten million players
        takes a second or less, in which other threads run.
        """
        name = current_name(self._root)
        if name in {"", self._refused[0], self._now.told.generation if self._now else ""}:
            return False
        try:
            self._now = open_generation(self._root / name, key=self._key)
        except Damaged as error:
            if name != current_name(self._root):  # replaced while it was being read
                return self.refresh()
            self._refused = name, str(error)
            log.error("lookup generation refused", generation=name, reason=error.why)  # noqa: TRY400 - it says it all
            return False
        self._refused = "", ""
        log.info("lookup generation answers", generation=name, players=self._now.told.players)
        return True

    @property
    def generation(self) -> Generation:
        """The generation that answers now; hold it for as long as answers must be of one.

        Raises:
            NotReady: none was published, or none that could be taken.
        """
        if self._now is None:
            why = self._refused[1] or "publish one with the churn pipeline"
            raise NotReady(f"the lookup in {self._root} has no generation that answers: {why}")
        return self._now

    def get(self, player: str) -> Score:
        """Look one player up, as `Generation.get` does.

        Raises:
            NotReady: as `generation`.
        """
        return self.generation.get(player)

    def get_many(self, players: Iterable[str]) -> list[Score]:
        """Look players up, as `Generation.get_many` does.

        Raises:
            NotReady: as `generation`.
        """
        return self.generation.get_many(players)

    def facts(self) -> LookupFacts:
        """Tell what answers and how old it is."""
        told = self._now.told if self._now else None
        return LookupFacts(
            generation=told.generation if told else "",
            age_s=told.age_s(now()) if told else 0.0,
            players=told.players if told else 0,
            refused=self._refused[1],
        )
