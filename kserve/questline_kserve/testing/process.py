"""A serving process on free ports, with a home folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from questline_core.models.folder import FolderHost, open_folder
from questline_core.models.manifests import spend_service
from questline_core.models.port import ServiceStatus
from questline_core.processes import read_ready

T = TypeVar("T")

PATIENCE_S = 100.0
"""A process imports TensorFlow and kserve: ten seconds on a quiet machine, and many more on one that tests a lot."""


@dataclass(slots=True)
class ServingProcess:
    """One `questline serving run` with a home folder of its own."""

    home: Path
    rest_port: int
    grpc_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Number of the process, 0 before its start."""
        return self.process.pid if self.process else 0

    @property
    def rest_url(self) -> str:
        """Base address of the REST protocols."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def grpc_address(self) -> str:
        """host:port of the gRPC protocol."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def host(self) -> FolderHost:
        """The model host over the folder that the process obeys."""
        return open_folder(str(self.home / "serving"))

    @property
    def log(self) -> str:
        """What the process wrote, to either stream."""
        return (self.home / "log").read_text(encoding="utf-8")

    def start(self, *arguments: str, **settings: str) -> None:
        """Start the process, with more settings from its environment; it is not ready yet."""
        environment = os.environ | {
            "QUESTLINE_HOME": str(self.home),
            "QUESTLINE_SERVING_REST_PORT": str(self.rest_port),
            "QUESTLINE_SERVING_GRPC_PORT": str(self.grpc_port),
            **settings,
        }
        command = [str(Path(sys.executable).with_name("questline")), "serving", "run", *arguments]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_until_ready(self) -> dict[str, Any]:
        """Wait until the process is ready and return what it announced."""
        return wait_for(lambda: dict(read_ready(self.home / "run", "serving") or {}), "the process is ready")

    def deploy(self, folder: Path, *, name: str = "spend", revision: str = "") -> ServiceStatus:
        """Declare a version and wait until it was taken or refused."""
        self.host.apply(spend_service(name, revision or folder.name, str(folder)))
        return self.judged(name)

    def judged(self, name: str = "spend") -> ServiceStatus:
        """Wait until what is declared under a name was taken or refused."""

        def looked_at() -> ServiceStatus | None:
            status = self.host.status(name)
            return status if status.ready or status.message else None

        return wait_for(looked_at, f"{name} was taken or refused")

    def predict(self, *instances: Any, name: str = "spend") -> httpx.Response:
        """Ask by the V1 protocol."""
        return httpx.post(f"{self.rest_url}/v1/models/{name}:predict", json={"instances": instances}, timeout=30)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell the process to end, and return its exit code."""
        if self.process is None:
            raise RuntimeError("the process was never started")
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End the process at once if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Look until there is something to see and return it.

    Raises:
        TimeoutError: there was nothing for `PATIENCE_S`.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}")
