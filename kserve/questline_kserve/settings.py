"""What the serving process must be told: where it listens, and as how many processes."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from questline_core.settings import PlatformSettings

PROCESS = "serving"
"""Name under which the server announces itself in `run`."""

GRACE_S = 10.0
"""Requests that are under way when a process is told to end have this long."""


class ServingSettings(PlatformSettings):
    """Settings of `questline serving`."""

    model_config = SettingsConfigDict(env_prefix="QUESTLINE_", frozen=True, extra="ignore")

    serving_host: str = Field(default="127.0.0.1", min_length=1)
    """Address of the interface that both ports are opened on; 0.0.0.0 in a pod."""
    serving_rest_port: int = Field(default=8080, ge=1, le=65535)
    """Port of the V1 and V2 REST protocols."""
    serving_grpc_port: int = Field(default=8081, ge=1, le=65535)
    """Port of the V2 gRPC protocol."""

    serving_processes: int = Field(default=1, ge=1, le=64)
    """Processes that share both ports, one for each core that is the server's; each holds all models."""

    @property
    def rest_url(self) -> str:
        """Base address of the REST protocols."""
        return f"http://{self._bracketed_host}:{self.serving_rest_port}"

    @property
    def grpc_address(self) -> str:
        """host:port of the gRPC protocol."""
        return f"{self._bracketed_host}:{self.serving_grpc_port}"

    @property
    def _bracketed_host(self) -> str:
        return f"[{self.serving_host}]" if ":" in self.serving_host else self.serving_host
