"""The serving process: its ports, its models, and its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from questline_core.models.folder import ServingFolder
from questline_core.processes import announced
from questline_kserve.follow import Follower
from questline_kserve.formats import Formats
from questline_kserve.grpc_v2 import grpc_server
from questline_kserve.lookup.fresh import following_generations
from questline_kserve.ports import Ports
from questline_kserve.repository import Plane, Repository
from questline_kserve.rest import rest_server
from questline_kserve.settings import ServingSettings

GRACE_S = 10.0
"""Requests that are under way when the process is told to end have this long."""


async def serve_folder(settings: ServingSettings, ports: Ports, folder: ServingFolder) -> None:
    """Serve what the InferenceServices of a folder declare, until a signal ends the process.

    Raises:
        BadInput: the home folder cannot be written.
    """
    stop, plane = stop_on_signals(), Plane(Repository())
    follower = Follower(
        folder, plane.repository, settings.rest_url, settings.grpc_address, Formats(settings).of_service
    )
    with folder.occupied():
        async with listening(plane, ports), following_generations(plane.repository):
            await follower.catch_up()
            plane.settled = True
            with announced(settings.paths.run, "serving", **facts(settings, plane)) as ready:
                follower.on_change = lambda: ready.update(**facts(settings, plane))
                await follower.follow(stop)


async def serve_version(settings: ServingSettings, ports: Ports, *, name: str, uri: str) -> None:
    """Serve one version under one name, as the container of a ServingRuntime does, until a signal ends the process.

    Raises:
        QuestlineError: the version cannot be let to answer.
    """
    stop, plane = stop_on_signals(), Plane(Repository())
    async with listening(plane, ports), following_generations(plane.repository):
        plane.repository.swap(name, await asyncio.to_thread(Formats(settings).of_folder, uri))
        plane.settled = True
        with announced(settings.paths.run, "serving", **facts(settings, plane)):
            await stop.wait()


@asynccontextmanager
async def listening(plane: Plane, ports: Ports) -> AsyncIterator[None]:
    """Answer on both ports until the block ends."""
    logging.getLogger("kserve").setLevel(logging.ERROR)  # it has a line for each request
    async with rest_server(plane, ports.rest.taken, grace_s=GRACE_S), grpc_server(plane, ports.grpc, grace_s=GRACE_S):
        yield


def stop_on_signals() -> asyncio.Event:
    """Make the event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def facts(settings: ServingSettings, plane: Plane) -> dict[str, Any]:
    """Tell the other processes where what answers."""
    return {
        "rest_url": settings.rest_url,
        "grpc_address": settings.grpc_address,
        "models": plane.repository.revisions(),
    }
