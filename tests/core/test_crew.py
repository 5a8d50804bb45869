"""Several processes of one server: real ones, of a server that does next to nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from questline_core.crew import Crew, metrics_of_all, number_of
from questline_core.errors import NotReady
from questline_core.processes import announced
from questline_core.testing.small_server import DONE, DRAINING, ENDS, GO_ON, PROCESS, drain, serve

PATIENCE_S = 60.0


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Crew]:
    """Two processes that are ready."""
    made = Crew(PROCESS, tmp_path, 2, partial(serve, tmp_path), rest_s=0.0)
    made.start()
    await made.wait_ready(asyncio.Event())
    yield made
    await made.stop(PATIENCE_S)


async def until(met: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < give_up, f"never came: {what}"
        await asyncio.sleep(0.02)


async def test_each_is_asked_and_their_metrics_are_told_apart(crew: Crew) -> None:
    assert await crew.ask("/") == {0: b"ok", 1: b"ok"}

    lines = metrics_of_all(await crew.ask("/metrics")).decode().splitlines()

    assert [line for line in lines if "process=" in line] == [
        'asked_total{process="0"} 2.0',
        'asked_total{process="1"} 2.0',
    ]


async def test_one_that_ended_is_started_again(crew: Crew) -> None:
    before = crew.facts()
    crew.processes[1].kill()
    await until(lambda: not crew.processes[1].is_alive(), "its end")

    crew.start()
    await until(lambda: len(crew.facts()) == 2, "a new one")

    assert crew.facts()[0] == before[0]
    assert crew.facts()[1]["pid"] != before[1]["pid"]


async def test_one_that_ended_just_after_its_start_waits_for_its_next(crew: Crew) -> None:
    crew.rest_s = 1_000.0
    crew.processes[1].kill()
    await until(lambda: not crew.processes[1].is_alive(), "its end")

    crew.start()

    assert not crew.processes[1].is_alive()


async def test_one_that_gives_no_answer_for_some_looks_in_a_row_is_ended(crew: Crew) -> None:
    pid = crew.facts()[0]["pid"]
    await crew.end_the_silent("/", looks=2)
    os.kill(pid, signal.SIGSTOP)
    await crew.end_the_silent("/", looks=2)
    assert crew.silent == {0: 1}
    os.kill(pid, signal.SIGCONT)
    await crew.end_the_silent("/", looks=2)
    assert crew.silent == {}

    os.kill(pid, signal.SIGSTOP)
    await crew.end_the_silent("/", looks=2)
    await crew.end_the_silent("/", looks=2)

    await until(lambda: not crew.processes[0].is_alive(), "its end")
    assert crew.processes[1].is_alive()


async def test_a_refusal_is_an_answer_but_no_sign_of_life(crew: Crew) -> None:
    assert await crew.ask("/broken") == {0: b"ok", 1: b"ok"}

    await crew.end_the_silent("/broken", looks=1)

    await until(lambda: not any(one.is_alive() for one in crew.processes.values()), "their end")


async def test_one_that_ends_at_its_start_is_named(tmp_path: Path) -> None:
    crew = Crew(PROCESS, tmp_path, ENDS + 1, partial(serve, tmp_path))
    crew.start()

    with pytest.raises(NotReady, match=f"process {ENDS} of the small ended at its start"):
        await crew.wait_ready(asyncio.Event())

    await crew.stop(PATIENCE_S)


async def test_those_that_are_not_ready_in_time_are_told(tmp_path: Path) -> None:
    crew = Crew(PROCESS, tmp_path, 1, partial(serve, tmp_path), start_s=0.0)
    crew.start()

    with pytest.raises(NotReady, match="the processes of the small are not ready within 0 s"):
        await crew.wait_ready(asyncio.Event())

    await crew.stop(PATIENCE_S)


async def test_nobody_waits_for_a_server_that_is_told_to_stop(tmp_path: Path) -> None:
    crew, stop = Crew(PROCESS, tmp_path, ENDS + 1, partial(serve, tmp_path)), asyncio.Event()
    crew.start()
    stop.set()

    await crew.wait_ready(stop)

    await crew.stop(PATIENCE_S)


async def test_what_another_process_tells_is_not_taken_for_one_of_ours(tmp_path: Path) -> None:
    crew = Crew(PROCESS, tmp_path, ENDS + 1, partial(serve, tmp_path))
    with announced(tmp_path, number_of(PROCESS, ENDS), admin="127.0.0.1:9"):
        before = crew.facts()
        crew.start()

        assert (before, ENDS in crew.facts()) == ({}, False)

    await crew.stop(PATIENCE_S)


@pytest.fixture
async def draining(tmp_path: Path) -> AsyncIterator[Crew]:
    """One process that is ready, and that ends when `GO_ON` is there and not before."""
    made = Crew(PROCESS, tmp_path, 1, partial(drain, tmp_path))
    made.start()
    await made.wait_ready(asyncio.Event())
    yield made
    made.processes[0].kill()
    made.processes[0].join()


async def test_one_that_is_told_to_stop_is_waited_for_until_its_work_is_done(draining: Crew, tmp_path: Path) -> None:
    stopping = asyncio.create_task(draining.stop(PATIENCE_S))
    process = draining.processes[0]
    await until(lambda: (tmp_path / DRAINING).exists() or not process.is_alive(), "its draining")
    assert not stopping.done()

    (tmp_path / GO_ON).touch()
    await stopping

    assert (process.exitcode, (tmp_path / DONE).exists()) == (0, True)


async def test_one_that_does_not_end_in_time_is_killed(draining: Crew, tmp_path: Path) -> None:
    await draining.stop(0.0)

    assert draining.processes[0].exitcode == -signal.SIGKILL
    assert not (tmp_path / DONE).exists()
