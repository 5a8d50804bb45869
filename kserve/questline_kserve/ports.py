"""The ports of the serving process, taken before anything slow is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from questline_core.errors import BadInput
from questline_kserve.settings import ServingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port and the socket that holds it."""

    host: str
    number: int
    setting: str
    """The variable that chooses another port."""
    taken: socket.socket
    shared: bool
    """Whether other processes of this server listen here, too."""

    @property
    def address(self) -> str:
        """host:port."""
        return f"[{self.host}]:{self.number}" if ":" in self.host else f"{self.host}:{self.number}"

    def refused(self, why: str) -> BadInput:
        """Make the sentence about a port that cannot be had."""
        return BadInput(f"cannot listen on {self.address} ({why}); free it, or set {self.setting} to another port")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The two ports of the serving process."""

    rest: Port
    grpc: Port


@contextmanager
def ports(settings: ServingSettings, *, shared: bool = False) -> Iterator[Ports]:
    """Take both ports until the block ends; nothing listens on them yet.

    Args:
        settings: which ones.
        shared: whoever shares the ports, too, is not in the way.

    Raises:
        BadInput: a port is in use, or the address is not one of this machine; names the setting.
    """
    host = settings.serving_host
    rest = _port(host, settings.serving_rest_port, setting="QUESTLINE_SERVING_REST_PORT", shared=shared)
    grpc = _port(host, settings.serving_grpc_port, setting="QUESTLINE_SERVING_GRPC_PORT", shared=shared)
    with rest.taken, grpc.taken:
        for port in (rest, grpc):
            _bind(port)
        yield Ports(rest=rest, grpc=grpc)


def _port(host: str, number: int, *, setting: str, shared: bool) -> Port:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Port(host=host, number=number, setting=setting, taken=socket.socket(family), shared=shared)


def _bind(port: Port) -> None:
    port.taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port.shared:
        port.taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        port.taken.bind((port.host, port.number))
    except OSError as error:
        raise port.refused((error.strerror or str(error)).lower()) from None
