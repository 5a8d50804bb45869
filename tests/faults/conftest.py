"""How large the fault runs are: small in `make test`, large in `make test-faults`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-events", type=int, help="Events of a fault run.")
    parser.addoption("--fault-kills", type=int, help="Kills of each process of a fault run.")
    parser.addoption("--fault-runs", type=int, help="Runs in which the gateway alone is killed.")
    parser.addoption("--fault-run-events", type=int, help="Events of each of these runs.")
    parser.addoption("--fault-goodput", type=float, help="Least goodput at twice capacity, as a share of the peak.")
    parser.addoption("--fault-seed", type=int, help="Seed of the events and of the moments of the kills; random.")
