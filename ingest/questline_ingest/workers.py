"""Run the gateway in this process, or in several that share its addresses, each with its own spool database."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from typing import Any

import orjson
import structlog
import uvloop
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from questline_core.errors import NotReady, QuestlineError
from questline_core.logs import configure_logs
from questline_core.processes import announced, read_ready
from questline_ingest.addresses import held
from questline_ingest.auth.gate import open_gate, require_closed
from questline_ingest.http.admin import opened_admin
from questline_ingest.server import COUNTS, PROCESS, ready_name, report, serve
from questline_ingest.settings import GatewaySettings
from questline_ingest.stopping import told_to_stop

log = structlog.get_logger()

_START_S = 60.0
_LOOK_EVERY_S = 1.0
_REST_S = 5.0
"""A process that ended is not started again sooner than this after its last start."""
_ANSWER_S = 2.0


def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        QuestlineError: it cannot start; says why.
    """
    configure_logs(PROCESS)
    if settings.processes == 1:
        _serve(settings, 0)
    else:
        uvloop.run(_lead(settings))


def _serve(settings: GatewaySettings, number: int) -> None:
    # What a call makes is gone without a search for cycles when it is answered, and what is loaded by now stays.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(serve(settings, number=number))


def _work(settings: GatewaySettings, number: int) -> None:
    """Be one of several processes."""
    configure_logs(ready_name(settings, number))
    try:
        _serve(settings, number)
    except QuestlineError as error:
        sys.stderr.write(f"questline: {error}\n")
        raise SystemExit(1) from None


@dataclass(slots=True)
class Crew:
    """The processes of one gateway. They are started anew and not forked: gRPC does not live through a fork."""

    settings: GatewaySettings
    """With the addresses that all share, and a free port for each one's admin address."""
    processes: dict[int, SpawnProcess] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)

    def start(self) -> None:
        """Start every process that does not run, and that did not start just now."""
        for number in range(self.settings.processes):
            process = self.processes.get(number)
            if process and (process.is_alive() or time.monotonic() - self.started[number] < _REST_S):
                continue
            if process:
                log.error("gateway process ended and is started again", number=number, exit_code=process.exitcode)
            process = get_context("spawn").Process(target=_work, args=(self.settings, number), daemon=True)
            process.start()
            self.processes[number], self.started[number] = process, time.monotonic()

    async def wait_ready(self, stop: asyncio.Event) -> None:
        """Wait until all are ready, or are told to stop.

        Raises:
            NotReady: one ended or is not ready in time.
        """
        give_up = time.monotonic() + _START_S
        while len(self.facts()) < self.settings.processes and not stop.is_set():
            dead = [number for number, process in self.processes.items() if not process.is_alive()]
            if dead or time.monotonic() > give_up:
                raise NotReady(
                    f"process {dead[0]} of the gateway ended at its start; what it said stands above"
                    if dead
                    else f"the processes of the gateway are not ready within {_START_S:g} s; see their log"
                )
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.05)

    def facts(self) -> dict[int, Mapping[str, Any]]:
        """Give what each process that is ready tells of itself."""
        told = {n: read_ready(self.settings.paths.run, ready_name(self.settings, n)) for n in self.processes}
        return {n: facts for n, facts in told.items() if facts and facts["pid"] == self.processes[n].pid}

    def told(self) -> dict[str, Any]:
        """Add up what became of the events since each process started, and name the churn snapshot."""
        facts = list(self.facts().values())
        counts = {name: sum(one[name] for one in facts) for name in COUNTS}
        return counts | {"churn": facts[0]["churn"] if facts else ""}

    async def stop(self) -> None:
        """Let all drain, and end those that do not."""
        for process in self.processes.values():
            process.terminate()
        give_up = time.monotonic() + self.settings.notice_s + 2 * self.settings.drain_s + _REST_S
        for process in self.processes.values():
            await asyncio.to_thread(process.join, max(0.0, give_up - time.monotonic()))
            if process.is_alive():
                process.kill()

    async def metrics_text(self) -> bytes:
        """Give the metrics of all, each sample with the number of its process."""
        texts = {n: text for n, text in (await self._ask("/metrics")).items() if text}
        return generate_latest(_Together(texts))

    async def not_ready(self) -> list[str]:
        """Tell why: nobody answers, or one that lives has a reason. One that is being started again is no reason."""
        told = await self._ask("/readyz")
        why = [f"process {n}: {text}" for n, body in told.items() for text in _reasons(body)]
        return why if told else ["no process of the gateway is ready"]

    async def _ask(self, path: str) -> dict[int, bytes]:
        """Get one path from the admin address of every process that is ready; empty where there is no answer."""
        at = {number: f"http://{facts['admin']}{path}" for number, facts in self.facts().items()}
        answers = await asyncio.gather(*(asyncio.to_thread(_get, url) for url in at.values()))
        return dict(zip(at, answers, strict=True))


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310 - our own process on loopback
            return bytes(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read()
    except OSError:
        return b""


def _reasons(body: bytes) -> list[str]:
    return list(orjson.loads(body)["why"]) if body else ["it does not answer"]


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


async def _lead(settings: GatewaySettings) -> None:
    """Hold the addresses, start the processes, answer for all of them, and stop them in the end."""
    require_closed(settings)
    async with AsyncExitStack() as opened:
        stop = opened.enter_context(told_to_stop())
        doors = {
            name: opened.enter_context(held(at, setting=f"QUESTLINE_{name.upper()}"))
            for name in ("listen", "http_listen", "tcp_listen")
            if (at := getattr(settings, name))
        }
        crew = Crew(settings.model_copy(update={**doors, "admin_listen": "127.0.0.1:0"}))
        door = opened_admin(settings, open_gate(settings), crew.metrics_text, crew.not_ready)
        admin = await opened.enter_async_context(door)
        opened.push_async_callback(crew.stop)
        crew.start()
        await crew.wait_ready(stop)
        say = partial(announced, settings.paths.run, PROCESS, listen=doors["listen"], admin=admin)
        with say(http=doors.get("http_listen", ""), tcp=doors.get("tcp_listen", ""), **crew.told()) as ready:
            log.info("gateway ready", listen=doors["listen"], admin=admin, processes=settings.processes)
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _LOOK_EVERY_S)
                if not stop.is_set():
                    crew.start()
                report(ready, crew.told())
    log.info("gateway stopped")
