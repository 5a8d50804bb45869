"""The signed description of one generation of the lookup: what it holds, of what it was made, and its checksum."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from questline_core.errors import QuestlineError
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings

PLAYERS = "players.mdb"
MANIFEST = "lookup.json"
SIGNATURE = "lookup.sig"
CURRENT = "CURRENT"


class Damaged(QuestlineError):
    """Raised when a generation is not what was published; the one before goes on answering."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"the lookup generation {folder} is refused: {why}; publish a new one")
        self.folder, self.why = folder, why


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of a generation."""

    generation: str
    """A DNS label such as g000012; later ones sort later."""
    created: str
    """ISO 8601, UTC."""
    players: int
    prior: float
    """The probability that is given for a player whom it does not know."""
    threshold: float
    """From this probability on a player counts as leaving: where the costs of both errors are least."""
    sources: tuple[str, ...]
    reasons: tuple[tuple[str, ...], ...]
    sha256: str
    """Of the players' file."""
    lineage: Mapping[str, Any]
    """What it came from: the model, the version of the data."""

    def age_s(self, now: datetime) -> float:
        """Tell how long ago it was made."""
        return (now - datetime.fromisoformat(self.created)).total_seconds()


def signing_key(settings: PlatformSettings) -> bytes:
    """Derive the key with which generations are signed and checked from the secret of the installation.

    Raises:
        BadInput: the file of the secret cannot be used.
    """
    return hmac.digest(open_key(settings).secret, b"questline lookup", "sha256")


def write_manifest(folder: Path, manifest: Manifest, *, key: bytes) -> None:
    """Write the description and its signature beside the players' file."""
    content = json.dumps(asdict(manifest), indent=1).encode()
    (folder / MANIFEST).write_bytes(content)
    (folder / SIGNATURE).write_text(hmac.digest(key, content, "sha256").hex(), encoding="ascii")


def read_manifest(folder: Path, *, key: bytes) -> Manifest:
    """Read the description of a generation, whose signature must be right; the players' file is not looked at.

    Raises:
        Damaged: it is missing, was changed, or was signed with another key.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        signature = (folder / SIGNATURE).read_text(encoding="ascii").strip()
        if not hmac.compare_digest(signature, hmac.digest(key, content, "sha256").hex()):
            raise Damaged(folder, "its signature is not of this installation's key")
        told = json.loads(content)
        told["reasons"] = tuple(tuple(reasons) for reasons in told["reasons"])
        manifest = Manifest(**{**told, "sources": tuple(told["sources"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(folder, f"{MANIFEST} cannot be read ({type(error).__name__}: {error})") from None
    if manifest.generation != folder.name:
        raise Damaged(folder, f"it says that it is {manifest.generation}")
    return manifest


def checksum(path: Path) -> str:
    """Hash a file; other threads run meanwhile."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def current_name(root: Path) -> str:
    """Tell the generation that is to answer; empty while none was published."""
    try:
        return (root / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def now() -> datetime:
    """Tell the time, to the second and in UTC."""
    return datetime.now(UTC).replace(microsecond=0)
