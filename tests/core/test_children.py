"""Ports for processes that start later."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from questline_core.errors import NotReady
from questline_core.stack import children
from questline_core.stack.children import free_ports


def test_free_ports_are_no_two_the_same_and_none_that_an_outgoing_connection_is_given() -> None:
    ports = free_ports(50) + free_ports(50)

    assert len(set(ports)) == 100
    with ExitStack() as opened:
        servers = [opened.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(50)]
        given = [server.getsockname()[1] for server in servers]
    assert max(ports) < min(given)


def test_a_port_where_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free, other = free_ports(3)
    monkeypatch.setattr(children, "_PORTS", (taken, free, other))
    monkeypatch.setattr(children, "_ports", iter((taken, free, other)))

    with socket.create_server(("127.0.0.1", taken)):
        assert free_ports(2) == [free, other]


def test_too_few_free_ports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    [taken] = free_ports(1)
    monkeypatch.setattr(children, "_PORTS", (taken,))
    monkeypatch.setattr(children, "_ports", iter((taken,)))

    with socket.create_server(("127.0.0.1", taken)), pytest.raises(NotReady, match=f"fewer than 1 ports from {taken}"):
        free_ports(1)
