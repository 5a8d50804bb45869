"""The process beside a gateway that keeps the players' features up to date, where no stream on this machine does."""

from __future__ import annotations

import signal
import threading
from contextlib import closing

import structlog

from questline_core.features.follow import Follower
from questline_core.features.store import open_writer
from questline_core.warehouse.port import open_warehouse
from questline_ingest.settings import GatewaySettings

log = structlog.get_logger()


def follow(settings: GatewaySettings, *, every_s: float) -> None:
    """Look at the warehouse every so many seconds until SIGTERM or Ctrl-C.

    A look that fails is told and tried again: a container that ends would make its pod, and the gateway, unready.

    Raises:
        BadInput: the folder of the features cannot be written.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with open_writer(settings.paths.features) as store:
        follower = Follower(store)
        while not stop.is_set():
            try:
                with closing(open_warehouse(settings.warehouse_url)) as warehouse:
                    written = follower.look(warehouse)
                if written:
                    log.info("features written", players=written)
            except Exception as error:  # noqa: BLE001 - the gateway goes on with the features that are there
                log.warning("features not written", reason=f"{type(error).__name__}: {error}")
            stop.wait(every_s)
