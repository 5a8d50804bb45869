"""Everything that a gateway process can be told, in one object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from questline_core.settings import PlatformSettings


def _host_and_port(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LAST_PORT or (":" in host and not host.startswith("[")):
        raise ValueError(f"{address!r} is no address; write host:port, such as 127.0.0.1:7777")
    return address


_LAST_PORT = 65_535


def _model_place(address: str) -> str:
    return address if address.startswith(("folder:", "kserve:")) else _host_and_port(address)


ModelPlace = Annotated[str, AfterValidator(_model_place)]
HostAndPort = Annotated[str, AfterValidator(_host_and_port)]


class Prior(BaseModel):
    """What a player is expected to spend while no model has said anything: nothing, until a title knows better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float = 0.0
    lower_bound: float = 0.0
    upper_bound: float = 0.0
    probability: float = Field(default=0.0, ge=0, le=1)


class GatewaySettings(PlatformSettings):
    """Settings of `questline gateway serve`; each is read from `QUESTLINE_` and its name in capitals."""

    listen: HostAndPort = "127.0.0.1:7777"
    """Address that the gRPC server binds; port 0 takes a free one."""
    processes: int = Field(default=1, ge=1, le=64)
    """Processes that share the addresses, one for each core that is the gateway's; limits count for each of them."""
    admin_listen: HostAndPort = "127.0.0.1:0"
    """Address of `/metrics`, `/readyz` and `/healthz` over HTTP; port 0 takes a free one, see `run/gateway.json`. Off
    loopback, all but the bare answers to probes asks for a key of the role admin."""
    drain_s: float = Field(default=20.0, gt=0)
    """How long calls that are under way at SIGTERM may take to finish, in seconds."""
    notice_s: float = Field(default=0.5, ge=0)
    """How long new calls are still taken after health says NOT_SERVING, so that balancers can move on, in seconds."""

    max_message_bytes: int = Field(default=8 * 2**20, ge=2**10)
    """Largest request that gRPC lets in; a larger one fails with RESOURCE_EXHAUSTED."""
    max_batch_events: int = Field(default=5_000, ge=1)
    """Most events in one request."""
    max_inflight_bytes: int = Field(default=64 * 2**20, ge=2**10)
    """Bytes of requests being worked on at once; a call beyond that is turned away with RESOURCE_EXHAUSTED."""
    max_wait_s: float = Field(default=3.0, gt=0)
    """While an earlier call waits longer than this for its events to be stored, new calls are turned away, seconds."""
    recent_ids: int = Field(default=200_000, ge=1)
    """How many event ids are remembered, so that a resend is answered DUPLICATE."""

    http_listen: HostAndPort | None = None
    """Address of the door for JSON over HTTP; closed unless set."""
    http_origins: tuple[str, ...] = ()
    """Web pages that may call the HTTP door, as JSON: ["https://play.example"]; ["*"] for all."""
    tcp_listen: HostAndPort | None = None
    """Address of the door for one JSON event a TCP connection, which knows no keys and no TLS; closed unless set."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM) of the gRPC and HTTP doors; read again when it changes."""
    tls_key: Path | None = None
    """Private key (PEM) of the certificate."""
    tls_client_ca: Path | None = None
    """Authority (PEM) that must have signed the certificate of every client; without it clients show none."""
    tls_ends_before: bool = False
    """Something in front of this process, such as a mesh, ends TLS and decides who may reach it."""
    keys: Path | None = None
    """File of the API keys (`questline keys`); without it every caller is let in."""
    key_events_per_s: float = Field(default=0.0, ge=0)
    """Events a second that one key may send in the mean, after a burst of MAX_BATCH_EVENTS; 0 for no limit."""

    spend_address: ModelPlace = "127.0.0.1:8081"
    """host:port of the V2 gRPC protocol that serves the model `spend`; or a model host, whose revisions share the
    players: `kserve:NAMESPACE` or `folder:FOLDER`."""
    spend_timeout_s: float = Field(default=0.25, gt=0)
    """Longest wait for a spend prediction, in seconds; a caller with less time left waits less."""
    spend_prior: Prior = Prior()
    """The answer with source DEFAULT, as JSON: {"value": 0, "lower_bound": 0, "upper_bound": 0, "probability": 0}."""
    churn_address: HostAndPort = "127.0.0.1:8081"
    """host:port of the V2 gRPC protocol that serves the lookup `churn`, asked while no snapshot is mapped here."""
    churn_timeout_s: float = Field(default=0.1, gt=0)
    """Longest wait for a churn prediction, in seconds; a caller with less time left waits less."""
    churn_prior: float = Field(default=0.5, ge=0, le=1)
    """Probability of leaving that is answered with source DEFAULT, while no snapshot tells its own prior."""
    churn_refresh_s: float = Field(default=5.0, gt=0)
    """How often the gateway looks for a new generation of the snapshot, in seconds."""
    stale_players: int = Field(default=20_000, ge=0)
    """Players whose last prediction is kept, to be answered as STALE when the model gives none."""
    stale_s: float = Field(default=3600.0, ge=0)
    """Oldest prediction that may be answered as STALE, in seconds."""
    served_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the answers that is noted for `telemetry.predictions`, with what the models were asked."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None) or (self.tls_client_ca and not self.tls_key):
            raise ValueError("TLS needs both TLS_CERTIFICATE and TLS_KEY")
        return self

    @model_validator(mode="after")
    def _one_request_fits(self) -> Self:
        if self.max_inflight_bytes < self.max_message_bytes:
            raise ValueError("MAX_INFLIGHT_BYTES must not be below MAX_MESSAGE_BYTES, or no large request ever fits")
        return self
