"""Cloud Storage without a cloud: a fake-gcs-server on a free port, if this machine has it."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import httpx
import pytest
from gcsfs.core import GCSFileSystem

from questline_core.stack.children import free_ports

START_S = 30.0


@contextmanager
def asked_by_gcsfs(url: str) -> Iterator[None]:
    """Let `gs://` mean the server at this URL, without a look for Google's credentials and features."""
    usual = fsspec.get_filesystem_class("gs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        fsspec.register_implementation("gs", GCSFileSystem, clobber=True)
        GCSFileSystem.clear_instance_cache()
        yield
    fsspec.register_implementation("gs", usual, clobber=True)


@contextmanager
def storage_or_skip(bucket: str) -> Iterator[str]:
    """Run the server with one bucket for a test, and give its URL; a machine without it skips the test."""
    program = shutil.which("fake-gcs-server")
    if program is None:
        pytest.skip("fake-gcs-server is not on PATH")
    (port,) = free_ports(1)
    arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    with subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, server)
            httpx.post(f"{url}/storage/v1/b", json={"name": bucket}).raise_for_status()
            yield url
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and server.poll() is None:
        try:
            httpx.get(f"{url}/storage/v1/b", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"fake-gcs-server did not answer at {url} within {START_S:g} s")
