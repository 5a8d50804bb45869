"""The signed record of an erasure: what was removed where, and not of whom."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from questline_core.durable import make_folder, put_in_place
from questline_core.errors import BadInput
from questline_core.privacy.key import PrivacyKey

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What happened in one place."""

    place: str
    removed: int
    """Rows, messages or files, those of an attempt that broke off included."""
    left: int
    """What a search found afterwards."""
    note: str = ""
    """Why something is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One erasure. It is written when it begins and after every place, so that a crash leaves what was done."""

    player_key: str
    """Keyed hash of the player's id."""
    began: str
    """Time, ISO 8601 in UTC."""
    ended: str = ""
    """Empty while it is not complete."""
    places: Sequence[Place] = ()

    @property
    def left(self) -> int:
        """Count what is still there."""
        return sum(place.left for place in self.places)

    def after(self, place: Place) -> Record:
        """Add what happened in a place; what an earlier attempt removed there is added to it."""
        before = sum(known.removed for known in self.places if known.place == place.place)
        others = [known for known in self.places if known.place != place.place]
        return replace(self, places=(*others, replace(place, removed=place.removed + before)))


@dataclass(frozen=True, slots=True)
class Records:
    """The folder of records, one file each."""

    folder: Path
    key: PrivacyKey

    def unfinished(self, player_key: str) -> Record | None:
        """Find the record of an erasure of this player that broke off."""
        for path in sorted(self.folder.glob(f"*-{player_key[:16]}.json")):
            record = self.read(path)
            if not record.ended and record.player_key == player_key:
                return record
        return None

    def write(self, record: Record) -> Path:
        """Sign a record and put it in place, durable on return."""
        make_folder(self.folder)
        path = self.folder / f"{record.began.replace(':', '')}-{record.player_key[:16]}.json"
        facts = {"format": FORMAT, **asdict(record)}
        put_in_place(path, json.dumps({**facts, "signature": self.key.signature(_canonical(facts))}, indent=1).encode())
        return path

    def read(self, path: Path) -> Record:
        """Read a record and check its signature.

        Raises:
            BadInput: it cannot be read, or was changed after it was signed, or signed with another key.
        """
        try:
            facts = json.loads(path.read_bytes())
            signature = facts.pop("signature")
            known = facts.pop("format") == FORMAT
            places = tuple(Place(**place) for place in facts.pop("places"))
            record = Record(**facts, places=places)
        except OSError as error:
            raise BadInput(f"cannot read {path} ({error.strerror}); records lie in {self.folder}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(f"{path} is no record of an erasure; records lie in {self.folder}") from None
        signed = self.key.signature(_canonical({"format": FORMAT, **asdict(record)}))
        if not known or not hmac.compare_digest(signature, signed):
            raise BadInput(f"{path} does not carry our signature: it was changed, or signed with another key")
        return record


def _canonical(facts: dict[str, object]) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
