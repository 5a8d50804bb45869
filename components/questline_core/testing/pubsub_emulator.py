"""Google's Pub/Sub emulator, started on a free port if this machine has it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from questline_core.stack.children import free_ports

COMPONENT = Path("platform/pubsub-emulator/lib")
FOLDERS = (Path("/usr/lib/google-cloud-sdk"), Path("/opt/google-cloud-sdk"), Path.home() / "google-cloud-sdk")
START_S = 60.0


def find_emulator() -> list[str]:
    """Give the command that starts it, without its options; empty where Java or the emulator is missing.

    It is a component of gcloud (`gcloud components install pubsub-emulator`, Debian: google-cloud-cli-pubsub-emulator),
    found beside the `gcloud` on PATH or in the usual folders.
    """
    java, gcloud = shutil.which("java"), shutil.which("gcloud")
    folders = [*([Path(gcloud).resolve().parents[1]] if gcloud else []), *FOLDERS]
    jars = [jar for folder in folders for jar in sorted((folder / COMPONENT).glob("cloud-pubsub-emulator-*.jar"))]
    return (
        [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-jar", str(jars[-1])]
        if java and jars
        else []
    )


@contextmanager
def running_emulator(command: list[str], log: Path, *, port: int = 0) -> Iterator[str]:
    """Run the emulator; gives its `HOST:PORT`.

    Args:
        command: from `find_emulator`.
        log: file for what it prints.
        port: where it listens; 0 takes a free one.
    """
    port = port or free_ports(1)[0]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}"], stdout=output, stderr=output, cwd=log.parent
        ) as process,
    ):
        try:
            _wait_for(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def emulator_or_skip(log: Path) -> Iterator[str]:
    """Run the emulator for a test, as `running_emulator`; a machine without it skips the test."""
    command = find_emulator()
    if not command:
        pytest.skip("needs Java and gcloud's component pubsub-emulator")
    with running_emulator(command, log) as endpoint:
        yield endpoint


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"the Pub/Sub emulator did not listen on port {port} within {START_S:g} s")
