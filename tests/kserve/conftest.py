"""Serving processes on free ports, and tiny model versions for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from questline_core.stack.children import free_ports
from questline_kserve.testing.process import ServingProcess
from questline_kserve.testing.versions import write_bad_version, write_version


@contextmanager
def _processes(folder: Path) -> Iterator[Callable[[], ServingProcess]]:
    made: list[ServingProcess] = []

    def make() -> ServingProcess:
        home = folder / f"home{len(made)}"
        home.mkdir()
        rest_port, grpc_port = free_ports(2)
        made.append(ServingProcess(home, rest_port, grpc_port))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.kill()


@pytest.fixture
def new_serving(tmp_path: Path) -> Iterator[Callable[[], ServingProcess]]:
    """Makes serving processes that are not started yet, and ends them after the test."""
    with _processes(tmp_path) as make:
        yield make


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions of the spend model: v1 with the scale 1, v2 with the scale 2, and bad, whose golden answers are wrong."""
    models = tmp_path_factory.mktemp("models") / "spend"
    write_version(models / "v1", scale=1.0)
    write_version(models / "v2", scale=2.0)
    write_bad_version(models / "bad", like=models / "v1")
    return models


@pytest.fixture(scope="session")
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], ServingProcess]]:
    """Makes serving processes for the whole session."""
    with _processes(tmp_path_factory.mktemp("serving")) as make:
        yield make


@pytest.fixture(scope="session")
def serving(starting: Callable[[], ServingProcess], request: pytest.FixtureRequest) -> Iterator[ServingProcess]:
    """A serving process that obeys a folder in which nothing is declared yet."""
    one = starting()
    one.start()
    request.getfixturevalue("store")  # takes as long as the start of the process, so that both run side by side
    one.wait_until_ready()
    yield one
    assert one.stop() == 0
