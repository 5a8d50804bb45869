"""Run one server as several processes that share its addresses: start each, again if it ended, and ask them all."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from questline_core.errors import NotReady
from questline_core.processes import read_ready

log = structlog.get_logger()

_ANSWER_S = 2.0


def number_of(process: str, number: int) -> str:
    """Name the file in `run` by which one of several processes says that it is ready."""
    return f"{process}-{number}"


@dataclass(slots=True)
class Crew:
    """The processes of one server. They are started anew and not forked: gRPC does not live through a fork."""

    process: str
    """Name of the server, such as gateway."""
    run: Path
    """The folder `Home.run`, where each says that it is ready, with the HTTP address `admin` at which it is asked."""
    size: int
    work: Callable[[int], None]
    """Is one of the processes, told its number; a function of a module, which can be sent to another process."""
    start_s: float = 60.0
    """All must be ready this long after the start."""
    rest_s: float = 5.0
    """A process that ended is not started again sooner than this after its last start."""
    processes: dict[int, SpawnProcess] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    silent: dict[int, int] = field(default_factory=dict)
    """Number -> how often in a row it gave no answer to a look."""

    def start(self) -> None:
        """Start every process that does not run, and that did not start just now."""
        for number in range(self.size):
            process = self.processes.get(number)
            if process and (process.is_alive() or time.monotonic() - self.started[number] < self.rest_s):
                continue
            if process:
                log.error("process ended and is started again", number=number, exit_code=process.exitcode)
            process = get_context("spawn").Process(target=self.work, args=(number,), daemon=True)
            process.start()
            self.processes[number], self.started[number] = process, time.monotonic()

    async def wait_ready(self, stop: asyncio.Event) -> None:
        """Wait until all are ready, or are told to stop.

        Raises:
            NotReady: one ended or is not ready in time.
        """
        give_up = time.monotonic() + self.start_s
        while len(self.facts()) < self.size and not stop.is_set():
            dead = [number for number, process in self.processes.items() if not process.is_alive()]
            if dead or time.monotonic() > give_up:
                raise NotReady(
                    f"process {dead[0]} of the {self.process} ended at its start; what it said stands above"
                    if dead
                    else f"the processes of the {self.process} are not ready within {self.start_s:g} s; see their log"
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.05)

    def facts(self) -> dict[int, Mapping[str, Any]]:
        """Give what each process that is ready tells of itself."""
        told = facts_of(self.run, self.process, self.size)
        return {n: facts for n, facts in told.items() if n in self.processes and facts["pid"] == self.processes[n].pid}

    async def end_the_silent(self, path: str, *, looks: int = 3) -> None:
        """Kill each that is ready and answered no 200 for so many looks in a row; `start` starts it again."""
        told = await ask(self._admins(), path, refusals=False)
        self.silent = {number: self.silent.get(number, 0) + 1 for number, answer in told.items() if not answer}
        for number in [number for number, times in self.silent.items() if times >= looks]:
            log.error("process gives no answer and is killed", number=number, looks=looks)
            self.processes[number].kill()
            del self.silent[number]

    async def stop(self, within_s: float) -> None:
        """Let all drain, and end those that do not."""
        for process in self.processes.values():
            process.terminate()
        give_up = time.monotonic() + within_s
        for process in self.processes.values():
            await asyncio.to_thread(process.join, max(0.0, give_up - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join(1.0)

    async def ask(self, path: str) -> dict[int, bytes]:
        """Get one path from every process that is ready; empty where there is no answer."""
        return await ask(self._admins(), path)

    def _admins(self) -> dict[int, str]:
        return {number: facts["admin"] for number, facts in self.facts().items()}


def facts_of(run: Path, process: str, size: int) -> dict[int, Mapping[str, Any]]:
    """Give what those of several processes tell of themselves that are ready, by number."""
    told = {number: read_ready(run, number_of(process, number)) for number in range(size)}
    return {number: facts for number, facts in told.items() if facts}


async def ask(admins: Mapping[int, str], path: str, *, refusals: bool = True) -> dict[int, bytes]:
    """Get one path from each of several addresses, host:port; empty where there is no answer.

    Args:
        admins: number -> host:port.
        path: what to get.
        refusals: whether what comes with another status than 200 is an answer, too.
    """
    urls = [f"http://{admin}{path}" for admin in admins.values()]
    answers = await asyncio.gather(*(asyncio.to_thread(_get, url, refusals=refusals) for url in urls))
    return dict(zip(admins, answers, strict=True))


def metrics_of_all(texts: Mapping[int, bytes]) -> bytes:
    """Put the metrics of several processes together, each sample with the number of its process."""
    return generate_latest(_Together(texts))


def _get(url: str, *, refusals: bool) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310 - our own process on loopback
            return bytes(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read() if refusals else b""
    except OSError:
        return b""


class _Together(Collector):
    """The metrics of several processes as one set."""

    def __init__(self, texts: Mapping[int, bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterable[Metric]:
        """Put the samples of a metric side by side."""
        metrics: dict[str, Metric] = {}
        for number, text in self._texts.items():
            for family in text_string_to_metric_families(text.decode()):
                metric = metrics.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    metric.add_sample(sample.name, {**sample.labels, "process": str(number)}, sample.value)
        return metrics.values()
