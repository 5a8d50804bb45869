"""The secret of erasure: what players' ids are hashed with, and records signed with. It never leaves its file."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from questline_core.durable import make_folder, sync
from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings

KEY_BYTES = 32


@dataclass(frozen=True)
class PrivacyKey:
    """One secret, from which the two that are used are derived."""

    secret: bytes

    @cached_property
    def _players(self) -> bytes:
        return hmac.digest(self.secret, b"questline players", sha256)

    @cached_property
    def _records(self) -> bytes:
        return hmac.digest(self.secret, b"questline records", sha256)

    def of_player(self, player: str) -> str:
        """Give the keyed hash by which a player is known after erasure: 64 hexadecimal digits."""
        return hmac.digest(self._players, player.encode(), "sha256").hex()

    def signature(self, content: bytes) -> str:
        """Sign a record."""
        return hmac.digest(self._records, content, "sha256").hex()


def open_key(settings: PlatformSettings) -> PrivacyKey:
    """Read the secret, which is drawn when it is first needed.

    Raises:
        BadInput: the file cannot be read or written, holds no secret, or can be read by others.
    """
    path = settings.privacy_key_file
    try:
        if not path.exists():
            _draw(path)
        return PrivacyKey(_read(path))
    except OSError as error:
        raise BadInput(
            f"the privacy key {path} cannot be used ({error.strerror}); make it readable for this user alone, or set "
            "QUESTLINE_PRIVACY_KEY"
        ) from None


def _draw(path: Path) -> None:
    """Make the file with a new secret; of two processes that do so at once, one is first and both read its secret."""
    make_folder(path.parent)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.touch(mode=0o600)
    try:
        aside.write_text(secrets.token_hex(KEY_BYTES), encoding="ascii")
        sync(aside)
        path.hardlink_to(aside)
        sync(path.parent)
    except FileExistsError:
        pass
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o007:
        raise BadInput(
            f"the privacy key {path} can be read by everybody; chmod 600 it, and think about who has read it"
        )
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        secret = b""
    if len(secret) < KEY_BYTES:
        raise BadInput(
            f"{path} holds no privacy key of {2 * KEY_BYTES} hexadecimal digits; put the one back with which players "
            "were forgotten, another would let them come back"
        )
    return secret
