"""Find out whether an address can be had, and hold one that several processes share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from questline_core.errors import NotReady


def split(listen: str) -> tuple[str, int]:
    """Give host, without brackets, and port of host:port."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(listen: str) -> bool:
    """Tell whether only this machine reaches host:port; a name other than localhost may be anybody's."""
    host, _ = split(listen)
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def family(host: str) -> socket.AddressFamily:
    """Tell whether a host is written as an address of IPv6."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def cannot_listen(listen: str, error: Exception, *, setting: str) -> NotReady:
    """Make the error of an address that cannot be bound; names the setting that tells another."""
    number = error.errno if isinstance(error, OSError) else None
    # Who binds adds the address to the system's words; a name that is not known has a number below zero.
    why = os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or error
    return NotReady(
        f"the gateway cannot listen on {listen} ({why}); "
        f"stop what uses port {split(listen)[1]} or set {setting} to another host:port"
    )


def require_free(listen: str, *, shared: bool = False) -> None:
    """Bind an address for a moment, because gRPC does not tell why it could not.

    Args:
        listen: host:port.
        shared: whoever shares the port, too, is not in the way.

    Raises:
        OSError: it cannot be bound.
    """
    with _bound(listen, shared=shared):
        pass


@contextmanager
def held(listen: str, *, setting: str) -> Iterator[str]:
    """Hold an address until the block ends, so that processes may share it and no other gateway can; port 0 is chosen.

    Raises:
        NotReady: it cannot be bound.
    """
    host = listen.rpartition(":")[0]
    try:
        with _bound(listen, shared=False) as probe:
            at = f"{host}:{probe.getsockname()[1]}"
        holder = _bound(at, shared=True)
    except (OSError, OverflowError) as error:
        raise cannot_listen(listen, error, setting=setting) from None
    with holder:
        yield at


def _bound(listen: str, *, shared: bool) -> socket.socket:
    host, port = split(listen)
    bound = socket.socket(family(host))
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
