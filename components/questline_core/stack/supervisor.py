"""Start, watch and end the long-running processes of one machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from questline_core.errors import NotReady
from questline_core.processes import look_around, read_ready, write_atomically
from questline_core.settings import Home

SERVICES: Mapping[str, Sequence[str]] = {
    "serving": ("serving", "run"),
    "gateway": ("gateway", "serve"),
    "stream": ("stream", "run"),
}
"""Process -> its sub-command of `questline`, in the order of starting."""
BY_ITSELF: Mapping[str, Sequence[str]] = {"trigger": ("trigger", "serve")}
"""What retrains by itself: nothing else needs it, and a demonstration that trains in its own time is better without."""

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 25.0  # the gateway drains within 20 s


def questline_command(*arguments: str) -> list[str]:
    """Give the command line that runs a `questline` sub-command with this very Python."""
    return [sys.executable, "-P", "-c", "from questline_core.cli import main; main()", *arguments]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """What is known of one process."""

    name: str
    pid: int | None
    """None when it does not run."""
    ready: bool
    facts: Mapping[str, Any]
    """What the process announced: addresses and counters."""
    elsewhere: str = ""
    """The host where it announced itself, if that is not this one: whether it runs there cannot be seen from here."""


@dataclass(slots=True)
class Supervisor:
    """The processes whose state lies under one home."""

    home: Home
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings for the processes beside the ones in this process's environment."""
    _log_starts: dict[str, int] = field(default_factory=dict)
    """Where in its log the last start of a process begins, in bytes."""

    def start(self, name: str, *, detached: bool = False) -> None:
        """Start one process with its log in `home.logs`.

        Args:
            name: a key of `SERVICES` or `BY_ITSELF`.
            detached: it outlives this process; otherwise the system ends it when this process dies.

        Raises:
            NotReady: it runs already, or its log cannot be written.
            BadInput: the folder `home.run` cannot be written, so that it could not be found again; it was ended.
        """
        if self._process(name) is not None:
            raise NotReady(f"the {name} runs already; `questline down` stops it")
        log = self.log(name)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("ab")
        except OSError as error:
            raise NotReady(
                f"cannot write {log} ({error.strerror}); make the folder writable or set QUESTLINE_HOME"
            ) from None
        self._log_starts[name] = output.tell()
        with output:
            child = subprocess.Popen(
                questline_command(*{**SERVICES, **BY_ITSELF}[name]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment, "QUESTLINE_HOME": str(self.home.root)},
                start_new_session=True,  # Ctrl-C reaches us alone; we end the others in order
                preexec_fn=None if detached else die_with_parent,  # noqa: PLW1509 - set before any thread runs here
            )
        try:
            created = psutil.Process(child.pid).create_time()
            write_atomically(self._pid_file(name), json.dumps({"pid": child.pid, "created": created}))
        except BaseException:
            child.kill()
            child.wait()
            raise

    def wait_ready(self, name: str, *, timeout_s: float = START_TIMEOUT_S) -> Mapping[str, Any]:
        """Wait until a process announces itself and return what it announced.

        Raises:
            NotReady: it ended or did not announce itself in time; the text holds the last line of its log.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            process = self._process(name)
            facts = read_ready(self.home.run, name)
            if process is None:
                raise NotReady(f"the {name} ended at its start: {self._last_words(name)} (log: {self.log(name)})")
            if facts is not None and facts["pid"] == process.pid:
                return facts
            time.sleep(0.1)
        raise NotReady(f"the {name} is not ready after {timeout_s:.0f} s (log: {self.log(name)})")

    def state(self, name: str) -> ProcessState:
        """Tell whether a process runs and what it announced."""
        process, elsewhere = self._process(name), ""
        if process:
            facts = read_ready(self.home.run, name)
        else:
            facts, elsewhere = look_around(self.home.run, name)
        pid = process.pid if process else facts["pid"] if facts else None
        return ProcessState(name=name, pid=pid, ready=facts is not None, facts=facts or {}, elsewhere=elsewhere)

    def stop(self, name: str) -> bool:
        """End one process and all that it started: politely first, by force after `STOP_TIMEOUT_S`.

        Returns:
            Whether it ran.
        """
        process = self._process(name)
        if process is not None:
            end_tree(process)
        self._pid_file(name).unlink(missing_ok=True)
        return process is not None

    def stop_all(self, *, before_each: Callable[[str], None] = lambda _: None) -> list[str]:
        """End every process, what starts or takes in work first; return the names of those that ran."""
        stopped = []
        for name in ("trigger", "gateway", "stream", "serving"):
            before_each(name)
            if self.stop(name):
                stopped.append(name)
        return stopped

    def kill(self, name: str) -> None:
        """End one process by SIGKILL, as a crash would."""
        process = self._process(name)
        if process is not None:
            process.kill()
            psutil.wait_procs([process], timeout=10)

    def log(self, name: str) -> Path:
        """Path of a process's log."""
        return self.home.logs / f"{name}.log"

    def _pid_file(self, name: str) -> Path:
        return self.home.run / f"{name}.pid"

    def _process(self, name: str) -> psutil.Process | None:
        """Find the process by pid and start time, because a pid alone may be somebody else's by now."""
        try:
            known = json.loads(self._pid_file(name).read_text(encoding="utf-8"))
            process = psutil.Process(known["pid"])
            alive = process.create_time() == known["created"] and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, NotADirectoryError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def _last_words(self, name: str) -> str:
        try:
            with self.log(name).open("rb") as log:
                log.seek(self._log_starts.get(name, 0))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return "it left no log"
        ours = [line.removeprefix("questline: ") for line in lines if line.startswith("questline: ")]
        return (ours or [line for line in lines if line.strip()] or ["it said nothing"])[-1]


def end_tree(process: psutil.Process) -> None:
    """End a process and its descendants: SIGTERM, and SIGKILL for what is left after `STOP_TIMEOUT_S`."""
    try:
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs([process], timeout=STOP_TIMEOUT_S)
    for member in family if left else family[1:]:
        _kill_quietly(member)
    psutil.wait_procs(family, timeout=5)


def _kill_quietly(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def die_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, however that happens."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - runs in the child only

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
