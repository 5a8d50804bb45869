"""Serve in this process, or lead several that share both ports and hold all models each."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
import uvloop

from questline_core.crew import Crew, number_of
from questline_core.errors import BadInput, QuestlineError
from questline_core.logs import configure_logs
from questline_core.models.folder import ServingFolder
from questline_core.processes import ReadyFile, announced
from questline_core.stopping import told_to_stop
from questline_kserve.ports import Ports, ports
from questline_kserve.reports import Reports
from questline_kserve.settings import GRACE_S, PROCESS, ServingSettings

log = structlog.get_logger()

_START_S = 600.0
"""A large model may load for minutes."""
_STOP_S = GRACE_S + 5.0
_TURN_S = 0.25
"""What became of a manifest is told for all processes this soon after the last of them took or refused it."""
_LOOK_EVERY_TURNS = 40
_LIVE = "/v2/health/live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be served: one version under one name, or what the InferenceServices of the home folder declare."""

    settings: ServingSettings
    name: str = ""
    uri: str = ""
    """Folder of the one version; empty for the InferenceServices."""

    @property
    def folder(self) -> ServingFolder:
        """The InferenceServices."""
        return ServingFolder(self.settings.paths.serving)


def run(wanted: Wanted) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        QuestlineError: it cannot start; says why.
    """
    if not wanted.uri:
        wanted.folder.prepare()
    if wanted.settings.serving_processes == 1:
        with ports(wanted.settings) as taken:
            _tune()
            uvloop.run(_alone(wanted, taken))
    else:
        with ports(wanted.settings):
            pass  # so that no other server is here
        with ports(wanted.settings, shared=True):
            uvloop.run(_lead(wanted))


def _tune() -> None:
    """Look for cycles seldom: what a call makes is gone without when it is answered."""
    gc.set_threshold(50_000, 20, 50)


async def _alone(wanted: Wanted, taken: Ports) -> None:
    from questline_kserve.process import serve_folder, serve_version  # noqa: PLC0415 - takes seconds

    if wanted.uri:
        await serve_version(wanted.settings, taken, name=wanted.name, uri=wanted.uri)
    else:
        await serve_folder(wanted.settings, taken, wanted.folder)


def _work(wanted: Wanted, number: int) -> None:
    """Be one of several processes."""
    configure_logs(number_of(PROCESS, number))
    _tune()
    from questline_kserve.member import join_folder, join_version  # noqa: PLC0415 - a leader needs none of it

    try:
        with ports(wanted.settings, shared=True) as taken:
            if wanted.uri:
                uvloop.run(join_version(wanted.settings, taken, number, name=wanted.name, uri=wanted.uri))
            else:
                uvloop.run(join_folder(wanted.settings, taken, number))
    except QuestlineError as error:
        sys.stderr.write(f"questline: {error}\n")
        raise SystemExit(1) from None


async def _lead(wanted: Wanted) -> None:
    """Start the processes, tell what they serve, start anew who ended or gives no answer, and stop all in the end."""
    settings = wanted.settings
    crew = Crew(PROCESS, settings.paths.run, settings.serving_processes, partial(_work, wanted), start_s=_START_S)
    async with AsyncExitStack() as opened:
        stop = opened.enter_context(told_to_stop())
        if not wanted.uri:
            opened.enter_context(wanted.folder.occupied())
        opened.push_async_callback(crew.stop, _STOP_S)
        crew.start()
        await crew.wait_ready(stop)
        with announced(settings.paths.run, PROCESS, **_facts(settings, crew)) as ready:
            log.info("all processes answer", processes=settings.serving_processes, rest_url=settings.rest_url)
            await _keep(crew, ready, wanted, stop)


async def _keep(crew: Crew, ready: ReadyFile, wanted: Wanted, stop: asyncio.Event) -> None:
    """Start anew who ended or gives no answer, and tell what all serve, until told to stop."""
    reports, turn = Reports(wanted.folder), 0
    while not stop.is_set():
        try:
            crew.start()
            if not wanted.uri:
                reports.gather(crew.facts())
            if (told := _facts(wanted.settings, crew)) != ready.facts:
                ready.update(**told)
        except (BadInput, OSError) as error:  # a folder that went away must not end what answers
            log.error("not told what is served", reason=str(error))  # noqa: TRY400 - the reason says it all
        turn += 1
        if turn % _LOOK_EVERY_TURNS == 0:
            await crew.end_the_silent(_LIVE)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _TURN_S)


def _facts(settings: ServingSettings, crew: Crew) -> dict[str, Any]:
    """Tell the other programs where what answers: of a model that changes just now, what the first process has."""
    models = [facts["models"] for facts in crew.facts().values()]
    return {
        "rest_url": settings.rest_url,
        "grpc_address": settings.grpc_address,
        "models": models[0] if models else {},
    }
