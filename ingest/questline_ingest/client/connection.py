"""How to reach a gateway: its address, TLS, and the title's API key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import grpc

from questline_core.errors import BadInput

_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    # The default waits up to two minutes before it looks again for a gateway that was restarted.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.enable_http_proxy", 0),
)

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What makes a connection secret, and what the client proves itself by."""

    ca_file: Path | None = None
    """PEM of who signed the gateway's certificate; None trusts what the system trusts."""
    certificate_file: Path | None = None
    """PEM chain of the client's own certificate, where the gateway asks for one; with `key_file`."""
    key_file: Path | None = None
    """PEM of the private key of that certificate."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files.

        Raises:
            BadInput: a file cannot be read, or one of certificate and key is missing.
        """
        if (self.certificate_file is None) != (self.key_file is None):
            raise BadInput("a client's certificate and its key go together; give both, or neither")
        ca, key, chain = map(_read, (self.ca_file, self.key_file, self.certificate_file))
        return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=chain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a gateway asks of its callers beside the address."""

    api_key: str = field(default="", repr=False)
    """Of the title; empty sends none."""
    tls: Tls | None = None
    """None talks in the clear: for a gateway on this machine."""

    @property
    def metadata(self) -> Metadata:
        """Of every call."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    def open_channel(self, address: str) -> grpc.Channel:
        """Make a channel, which connects by itself and again when the connection is lost.

        Args:
            address: host:port of the gateway.

        Raises:
            BadInput: a file of TLS cannot be read, or a key would travel in the clear to another machine.
        """
        if self.tls:
            return grpc.secure_channel(address, self.tls.credentials(), options=_CHANNEL_OPTIONS)
        if self.api_key and not _is_here(address):
            raise BadInput(
                f"an API key would travel in the clear to {address}; "
                "give tls=Tls() as well (to a command, QUESTLINE_TLS=true)"
            )
        return grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)


IN_THE_CLEAR = Access()
"""No TLS and no key: for a gateway on this machine."""


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise BadInput(f"cannot read {path} ({error.strerror}); name a PEM file") from None


def _is_here(address: str) -> bool:
    return address.startswith(("127.", "localhost:", "[::1]:", "unix:"))
