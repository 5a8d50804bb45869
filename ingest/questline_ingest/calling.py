"""What a command must know to call a gateway: where it is, and what it asks of its callers."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from questline_core.settings import PlatformSettings
from questline_ingest.client import Access, Tls
from questline_ingest.settings import HostAndPort


class CallerSettings(PlatformSettings):
    """Settings of the commands that call a gateway; each is read from `QUESTLINE_` and its name in capitals."""

    listen: HostAndPort = "127.0.0.1:7777"
    """Address of the gateway."""
    api_key: str = Field(default="", repr=False)
    """The title's API key, where the gateway has keys."""
    tls: bool = False
    """Talk TLS, trusting what this system trusts."""
    ca: Path | None = None
    """Talk TLS, trusting this PEM file."""

    @property
    def access(self) -> Access:
        """As the client takes it."""
        return Access(api_key=self.api_key, tls=Tls(ca_file=self.ca) if self.tls or self.ca else None)
