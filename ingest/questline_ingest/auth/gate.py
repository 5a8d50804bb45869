"""Decide about a call: whose key it shows, whether it may, and whether it has sent too many events already."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from questline_core.errors import BadInput, QuestlineError
from questline_ingest.addresses import is_loopback
from questline_ingest.auth.keys import ANYONE, Caller, Keys, Role
from questline_ingest.settings import GatewaySettings

audit = structlog.get_logger("audit")

_LOOK_EVERY_S = 1.0
_BEARER = "bearer "


class NotAllowed(QuestlineError):
    """Raised when a call shows no key that may make it; the text is the same whatever is wrong with the key."""

    def __init__(self) -> None:
        super().__init__("this call needs a valid API key: send 'authorization: Bearer KEY' or 'x-api-key: KEY'")


class RateLimited(QuestlineError):
    """Raised when a key sends more events a second than it may."""

    def __init__(self, events_per_s: float, *, retry_after_s: float) -> None:
        super().__init__(
            f"this key may send {events_per_s:g} events a second; send these again in {retry_after_s:.2f} s"
        )
        self.events_per_s, self.retry_after_s = events_per_s, retry_after_s


@dataclass(slots=True)
class _Bucket:
    """Events that may be sent now; it fills with time."""

    tokens: float
    filled_s: float


class Gate:
    """One for a process, whichever door a call comes through."""

    def __init__(self, keys: Keys | None, *, events_per_s: float, burst_events: int) -> None:
        self._keys, self._rate, self._burst = keys, events_per_s, burst_events
        self._looked_s = 0.0
        self._buckets: dict[str, _Bucket] = {}

    def caller(self, shown: str, *, peer: Callable[[], str], role: Role = "game") -> Caller:
        """Tell who shows this key, which has to have the role.

        Raises:
            NotAllowed: the key is missing, unknown, ended, or of another role.
        """
        if self._keys is None:
            return ANYONE
        self._look_again(self._keys)
        text = shown[len(_BEARER) :] if shown[: len(_BEARER)].lower() == _BEARER else shown
        key = self._keys.find(text.strip())
        if not key or key.role != role:
            audit.warning("call refused", peer=peer(), key_id=key.key_id if key else "", needs=role)
            raise NotAllowed
        return key.caller()

    def spend(self, caller: Caller, events: int) -> None:
        """Count events against the caller's key.

        Raises:
            RateLimited: they are more than it may send now; nothing was counted.
        """
        if not self._rate:
            return
        now = time.monotonic()
        bucket = self._buckets.setdefault(caller.key_id, _Bucket(self._burst, now))
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled_s) * self._rate)
        bucket.filled_s = now
        if events > bucket.tokens:
            missing = min(events, self._burst) - bucket.tokens
            raise RateLimited(self._rate, retry_after_s=max(0.001, missing / self._rate))
        bucket.tokens -= events

    def _look_again(self, keys: Keys) -> None:
        now = time.monotonic()
        if now - self._looked_s < _LOOK_EVERY_S and self._looked_s:
            return
        self._looked_s = now
        try:
            keys.refresh()
        except BadInput as error:
            audit.error("keys not read again", reason=str(error))


def open_gate(settings: GatewaySettings) -> Gate:
    """Give the gate that the settings ask for.

    Raises:
        BadInput: the file of the keys cannot be read.
    """
    keys = Keys(settings.keys) if settings.keys else None
    if keys and not keys.all():
        audit.warning("every call is refused until there is a key", file=str(settings.keys))
    return Gate(
        keys,
        events_per_s=settings.key_events_per_s,
        # A whole batch must fit, or a client that sends full ones never gets through.
        burst_events=max(round(settings.key_events_per_s), settings.max_batch_events),
    )


def require_closed(settings: GatewaySettings) -> None:
    """Refuse to listen where strangers are without TLS and without knowing who calls.

    Raises:
        BadInput: names the setting that is missing.
    """
    doors = ("LISTEN", "HTTP_LISTEN", "TCP_LISTEN", "ADMIN_LISTEN")
    for name in doors:
        address = getattr(settings, name.lower())
        if address is None or settings.tls_ends_before or is_loopback(address):
            continue
        if name == "TCP_LISTEN":
            missing = "that door knows neither TLS nor keys"
        elif not settings.tls_certificate:
            missing = "set QUESTLINE_TLS_CERTIFICATE and QUESTLINE_TLS_KEY"
        elif name == "ADMIN_LISTEN" and not settings.keys:  # probes have no certificate, so it can demand none
            missing = "set QUESTLINE_KEYS (see `questline keys create --admin`)"
        elif not settings.keys and not settings.tls_client_ca:
            missing = "set QUESTLINE_KEYS (see `questline keys create`) or QUESTLINE_TLS_CLIENT_CA"
        else:
            continue
        raise BadInput(
            f"QUESTLINE_{name}={address} can be reached from other machines: {missing}, or listen on 127.0.0.1, or set "
            "QUESTLINE_TLS_ENDS_BEFORE=true if a mesh or balancer in front decides who gets here"
        )
