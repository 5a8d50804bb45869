"""The trigger process: it listens for pushes, and looks at the warehouse between them."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import structlog
import uvicorn

from questline_core.durable import make_folder
from questline_core.errors import BadInput, NotReady, QuestlineError
from questline_core.locks import locked
from questline_core.processes import announced
from questline_pipelines.now import spend_parameters
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.exports import Exports
from questline_pipelines.trigger.ledger import Ledger
from questline_pipelines.trigger.service import application
from questline_pipelines.trigger.settings import TriggerSettings
from questline_pipelines.trigger.starter import Here, Starter
from questline_pipelines.trigger.tokens import Doorkeeper

_log = structlog.get_logger()


def serve(settings: TriggerSettings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        BadInput: a setting cannot be used, or the address cannot be listened on.
        NotReady: another trigger works on the same home.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again once it has ended its requests
        signal.signal(number, lambda *_: sys.exit(0))
    doorkeeper, stop = Doorkeeper(settings), threading.Event()
    with _alone(settings), opened(settings) as ledger:
        desk = desk_of(settings, ledger, _starter(settings))
        with _listening(settings) as taken:
            host, port = taken.getsockname()[:2]
            watcher = threading.Thread(target=watch, args=(desk, stop), name="watch", daemon=True)
            with announced(settings.paths.run, "trigger", address=f"http://{host}:{port}"):
                watcher.start()
                _log.info("trigger ready", address=f"http://{host}:{port}", kubeflow=settings.kfp_endpoint)
                server = uvicorn.Server(
                    uvicorn.Config(
                        application(doorkeeper, desk, Exports(settings, ledger)), log_config=None, access_log=False
                    )
                )
                try:
                    server.run(sockets=[taken])
                finally:  # it ends by the signal that it raises again
                    stop.set()
                    watcher.join(timeout=10)
                    _log.info("trigger stopped")


def desk_of(settings: TriggerSettings, ledger: Ledger, starter: Starter) -> Desk:
    """Put together what decides."""
    drift = DriftWatch(every_s=settings.trigger_drift_every_s)
    return Desk(settings, ledger, starter, lambda: _parameters(settings), drift)


@contextmanager
def opened(settings: TriggerSettings) -> Iterator[Ledger]:
    """Open the ledger under the home."""
    with closing(Ledger(settings.paths.root / "trigger" / "ledger.db")) as ledger:
        yield ledger


def watch(desk: Desk, stop: threading.Event) -> None:
    """Look at the warehouse again and again until told to stop; a look that fails is told and tried again."""
    pause_s = desk.settings.trigger_watch_s
    while pause_s and not stop.wait(pause_s):
        try:
            desk.look()
        except QuestlineError as error:
            _log.warning("look failed", why=str(error))
        except Exception:  # noqa: BLE001 - the thread must live on
            _log.exception("look failed")


def _starter(settings: TriggerSettings) -> Starter:
    """Start runs on Kubeflow Pipelines if there is an address of it, here otherwise."""
    if not settings.kfp_endpoint:
        return Here(settings.paths.pipelines)
    from questline_pipelines.cluster.client import Kubeflow  # noqa: PLC0415 - KFP takes two seconds
    from questline_pipelines.trigger.kubeflow import OnKubeflow  # noqa: PLC0415 - as above

    return OnKubeflow(Kubeflow(settings))


def _parameters(settings: TriggerSettings) -> Mapping[str, Any]:
    training = {
        "horizon_hours": settings.trigger_horizon_hours,
        "holdout_days": settings.trigger_holdout_days,
        "epochs": settings.trigger_epochs,
        "seed": 1,
    }
    return spend_parameters(settings, training)


@contextmanager
def _alone(settings: TriggerSettings) -> Iterator[None]:
    """Keep a second trigger from the same home: both would start runs."""
    folder = settings.paths.root / "trigger"
    make_folder(folder)
    with (folder / "lock").open("a+") as file:
        if not locked(file):
            raise NotReady(f"another trigger works on {settings.paths.root}; end it first")
        yield


@contextmanager
def _listening(settings: TriggerSettings) -> Iterator[socket.socket]:
    host, _, port = settings.trigger_listen.rpartition(":")
    try:
        taken = socket.create_server((host or "0.0.0.0", int(port)))  # noqa: S104 - asked for by an address without host
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot listen on QUESTLINE_TRIGGER_LISTEN={settings.trigger_listen!r} ({error})") from None
    with taken:
        yield taken
