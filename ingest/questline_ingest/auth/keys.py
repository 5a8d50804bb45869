"""API keys: made once and shown once, kept as digests in one file that every gateway reads again when it changes."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from questline_core.durable import make_folder, settle
from questline_core.errors import BadInput

Role = Literal["game", "admin"]

_SECRET_BYTES = 32
_TITLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a call is from, and what that fixes in its events."""

    title: str = ""
    """The only title it may write and read as; empty where keys are off."""
    key_id: str = ""
    is_test: bool = False
    """A sandbox key: every event is marked as a test."""
    role: Role = "game"


ANYONE = Caller()
"""The caller where keys are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as it is kept; the key itself is not in it."""

    key_id: str
    title: str
    role: Role
    is_sandbox: bool
    digest: str
    created_s: int
    """Seconds since 1970 UTC, as `ends_s`."""
    ends_s: int | None = None
    """From then on the key is refused; None for a key without end."""

    def ended(self) -> bool:
        """Tell whether the key is refused by now."""
        return self.ends_s is not None and time.time() >= self.ends_s

    def caller(self) -> Caller:
        """Tell who calls with this key."""
        return Caller(title=self.title, key_id=self.key_id, is_test=self.is_sandbox, role=self.role)


# A key has 256 random bits, so a slow hash would add nothing: no one guesses it, and every call would pay for it.
def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=32, person=b"questline key").hexdigest()


class Keys:
    """The keys of one installation, in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}

    def refresh(self) -> None:
        """Read the file again if it changed.

        Raises:
            BadInput: the file cannot be used; the keys of before stay.
        """
        try:
            now = self.path.stat()
            if self._seen != (now.st_mtime_ns, now.st_ino):
                self._keys = {told["key_id"]: Key(**told) for told in json.loads(self.path.read_bytes())["keys"]}
                self._seen = now.st_mtime_ns, now.st_ino
        except FileNotFoundError:
            self._keys, self._seen = {}, None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"the keys in {self.path} cannot be read ({error}); restore the file from a copy") from None

    def find(self, text: str) -> Key | None:
        """Find the key that a caller shows; None when there is no such key or it has ended."""
        key = self._keys.get(text.partition(".")[0])
        if not key or not hmac.compare_digest(_digest(text), key.digest) or key.ended():
            return None
        return key

    def all(self) -> list[Key]:
        """Give every key that was not removed, oldest first."""
        self.refresh()
        return sorted(self._keys.values(), key=lambda key: key.created_s)

    def create(self, title: str, *, role: Role = "game", sandbox: bool = False) -> tuple[Key, str]:
        """Make a key, and give it with the text that is shown to nobody again.

        Raises:
            BadInput: the title or the role cannot be used.
        """
        if not _TITLE.fullmatch(title) or role not in get_args(Role):
            raise BadInput(
                f"no key for title {title!r}, role {role!r}; give 1 to 64 printable characters, game or admin"
            )
        key_id = f"ql-{secrets.token_hex(4)}"
        text = f"{key_id}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        key = Key(
            key_id=key_id,
            title=title,
            role=role,
            is_sandbox=sandbox,
            digest=_digest(text),
            created_s=int(time.time()),
        )
        with self._changing():
            self._keys[key_id] = key
        return key, text

    def end(self, key_id: str, *, after_s: int = 0) -> Key:
        """Refuse a key from now, or from so many seconds later, on.

        Raises:
            BadInput: there is no such key.
        """
        with self._changing():
            if key_id not in self._keys:
                raise BadInput(f"there is no key {key_id} in {self.path}; see `questline keys list`")
            ended = self._keys[key_id] = replace(self._keys[key_id], ends_s=int(time.time()) + after_s)
        return ended

    def rotate(self, key_id: str, *, after_s: int) -> tuple[Key, str]:
        """Make a key like this one, which is itself refused so many seconds later.

        Raises:
            BadInput: there is no such key.
        """
        old = self.end(key_id, after_s=after_s)
        return self.create(old.title, role=old.role, sandbox=old.is_sandbox)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the file alone, read it, and write it at the end."""
        make_folder(self.path.parent)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refresh()
            yield
            aside = self.path.with_suffix(".aside")
            content = json.dumps({"keys": [asdict(key) for key in self._keys.values()]}, indent=1)
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(content)
            settle(aside, self.path)
