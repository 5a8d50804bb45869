"""Be one of several serving processes: take all models first, then answer on the shared ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from questline_core.crew import ask, facts_of, metrics_of_all, number_of
from questline_core.processes import ReadyFile, announced, read_ready
from questline_core.stopping import told_to_stop
from questline_kserve.follow import Follower
from questline_kserve.formats import Formats
from questline_kserve.lookup.fresh import following_generations
from questline_kserve.ports import Ports
from questline_kserve.process import follower_of, listening
from questline_kserve.reports import member_folder
from questline_kserve.repository import Plane, Repository
from questline_kserve.rest import OWN_METRICS
from questline_kserve.settings import PROCESS, ServingSettings

log = structlog.get_logger()

_AGAIN_S = 1.0


async def join_folder(settings: ServingSettings, ports: Ports, number: int) -> None:
    """Serve what the InferenceServices of the home folder declare, until told to stop.

    Raises:
        BadInput: the home folder cannot be written.
    """
    plane = Plane(Repository())
    follower = follower_of(settings, plane, member_folder(settings.paths.serving, number))
    with told_to_stop() as stop:
        async with following_generations(plane.repository):
            await follower.catch_up()
            await _as_good_as_the_others(settings, follower, stop)
            if stop.is_set():
                return
            async with _joined(settings, plane, ports, number) as ready:
                follower.on_change = lambda: ready.update(models=plane.repository.revisions())
                await follower.follow(stop)


async def join_version(settings: ServingSettings, ports: Ports, number: int, *, name: str, uri: str) -> None:
    """Serve one version under one name, until told to stop.

    Raises:
        QuestlineError: the version cannot be let to answer.
    """
    plane = Plane(Repository())
    with told_to_stop() as stop:
        async with following_generations(plane.repository):
            plane.repository.swap(name, await asyncio.to_thread(Formats(settings).of_folder, uri))
            async with _joined(settings, plane, ports, number):
                await stop.wait()


@asynccontextmanager
async def _joined(settings: ServingSettings, plane: Plane, ports: Ports, number: int) -> AsyncIterator[ReadyFile]:
    """Answer among the others until the block ends."""
    run, size = settings.paths.run, settings.serving_processes
    plane.settled = lambda: read_ready(run, PROCESS) is not None  # the leader says so once all are there

    async def metrics() -> bytes:
        admins = {number: facts["admin"] for number, facts in facts_of(run, PROCESS, size).items()}
        return metrics_of_all(await ask(admins, OWN_METRICS))

    async with listening(plane, ports, metrics) as admin:
        with announced(run, number_of(PROCESS, number), admin=admin, models=plane.repository.revisions()) as ready:
            log.info("process answers", models=plane.repository.revisions())
            yield ready


async def _as_good_as_the_others(settings: ServingSettings, follower: Follower, stop: asyncio.Event) -> None:
    """Wait while others answer for a model that this process was refused, as one that is started again may be."""
    told = False
    while not stop.is_set():
        facts = facts_of(settings.paths.run, PROCESS, settings.serving_processes).values()
        missing = {name for one in facts for name in one["models"]} - set(follower.repository.revisions())
        missing &= set(follower.folder.names())
        if not missing:
            return
        if not told:
            log.error("process stays away, as it cannot load what others still answer for", services=sorted(missing))
            told = True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _AGAIN_S)
        await follower.catch_up()
