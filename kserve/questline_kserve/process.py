"""The serving process: its ports, its models, and its end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from questline_core.models.folder import ServingFolder
from questline_core.processes import announced
from questline_core.stopping import told_to_stop
from questline_kserve.follow import Follower
from questline_kserve.formats import Formats
from questline_kserve.grpc_v2 import grpc_server
from questline_kserve.lookup.fresh import following_generations
from questline_kserve.ports import Ports
from questline_kserve.repository import Plane, Repository
from questline_kserve.rest import MetricsText, application, rest_server
from questline_kserve.settings import GRACE_S, PROCESS, ServingSettings

log = structlog.get_logger()


async def serve_folder(settings: ServingSettings, ports: Ports, folder: ServingFolder) -> None:
    """Serve what the InferenceServices of a folder declare, until a signal ends the process.

    Raises:
        BadInput: the home folder cannot be written.
    """
    plane = Plane(Repository())
    follower = follower_of(settings, plane, folder)
    with told_to_stop() as stop, folder.occupied():
        async with listening(plane, ports), following_generations(plane.repository):
            await follower.catch_up()
            plane.settled = lambda: True
            with announced(settings.paths.run, PROCESS, **facts(settings, plane)) as ready:
                log.info("serving ready", **ready.facts)
                follower.on_change = lambda: ready.update(**facts(settings, plane))
                await follower.follow(stop)


async def serve_version(settings: ServingSettings, ports: Ports, *, name: str, uri: str) -> None:
    """Serve one version under one name, as the container of a ServingRuntime does, until a signal ends the process.

    Raises:
        QuestlineError: the version cannot be let to answer.
    """
    plane = Plane(Repository())
    with told_to_stop() as stop:
        async with listening(plane, ports), following_generations(plane.repository):
            plane.repository.swap(name, await asyncio.to_thread(Formats(settings).of_folder, uri))
            plane.settled = lambda: True
            with announced(settings.paths.run, PROCESS, **facts(settings, plane)) as ready:
                log.info("serving ready", **ready.facts)
                await stop.wait()


@asynccontextmanager
async def listening(plane: Plane, ports: Ports, metrics_of_all: MetricsText | None = None) -> AsyncIterator[str]:
    """Answer on both ports until the block ends; yields the host:port at which only this process answers."""
    logging.getLogger("kserve").setLevel(logging.ERROR)  # it has a line for each request
    app = application(plane, metrics_of_all)
    with socket.create_server(("127.0.0.1", 0)) as own:
        async with (
            rest_server(app, [ports.rest.taken, own], grace_s=GRACE_S),
            grpc_server(plane, ports.grpc, grace_s=GRACE_S),
        ):
            yield f"127.0.0.1:{own.getsockname()[1]}"


def follower_of(settings: ServingSettings, plane: Plane, folder: ServingFolder) -> Follower:
    """Make what keeps the models of a plane as a folder declares them."""
    return Follower(folder, plane.repository, settings.rest_url, settings.grpc_address, Formats(settings).of_service)


def facts(settings: ServingSettings, plane: Plane) -> dict[str, Any]:
    """Tell the other processes where what answers."""
    return {
        "rest_url": settings.rest_url,
        "grpc_address": settings.grpc_address,
        "models": plane.repository.revisions(),
    }
