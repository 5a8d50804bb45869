"""Run `questline` sub-commands that end by themselves, and leave none behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, cycle, islice
from secrets import randbelow
from typing import Any

import psutil

from questline_core.errors import NotReady, QuestlineError
from questline_core.stack.supervisor import die_with_parent, end_tree, questline_command

_PORTS = range(20_000, 32_000)  # below those that systems give to outgoing connections
_first = randbelow(len(_PORTS))
_ports = cycle(chain(_PORTS[_first:], _PORTS[:_first]))


class CommandFailed(QuestlineError):
    """Raised when a sub-command ended with an error, which it has printed itself."""

    def __init__(self, arguments: tuple[str, ...], code: int) -> None:
        super().__init__(f"`questline {' '.join(arguments)}` failed with exit code {code}")
        self.arguments, self.code = arguments, code


@contextmanager
def running(*arguments: str, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a sub-command beside this process; it and all that it started are ended when the block ends."""
    child = subprocess.Popen(
        questline_command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # standard error, where progress is shown, stays ours
        text=True,
        env={**os.environ, **environment},
        preexec_fn=die_with_parent,  # noqa: PLW1509 - set before any thread runs here
    )
    with child:
        try:
            yield child
        finally:
            if child.poll() is None:
                end_tree(psutil.Process(child.pid))


def finish(child: subprocess.Popen[str], arguments: tuple[str, ...], *, timeout_s: float) -> Any:
    """Wait for a sub-command that prints JSON last and return what it printed.

    Raises:
        CommandFailed: its exit code is not 0.
        NotReady: it did not end in time.
    """
    try:
        printed, _ = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise NotReady(
            f"`questline {' '.join(arguments)}` did not end within {timeout_s:g} s; give this machine less to do"
        ) from None
    if child.returncode != 0:
        raise CommandFailed(arguments, child.returncode)
    return json.loads(printed.strip().splitlines()[-1])


def ask(*arguments: str, environment: Mapping[str, str], timeout_s: float = 900.0) -> Any:
    """Run a sub-command to its end and return the JSON that it printed.

    Raises:
        CommandFailed: its exit code is not 0.
        NotReady: it did not end in time.
    """
    with running(*arguments, environment=environment) as child:
        return finish(child, arguments, timeout_s=timeout_s)


def free_ports(count: int) -> list[int]:
    """Find ports on the loopback address that nobody listens on now, and that no outgoing connection will be given.

    Raises:
        NotReady: there are none left.
    """
    found = list[int]()
    for port in islice(_ports, len(_PORTS)):
        try:
            with socket.create_server(("127.0.0.1", port)):
                found.append(port)
        except OSError:
            continue  # somebody listens there
        if len(found) == count:
            return found
    raise NotReady(f"fewer than {count} ports from {_PORTS[0]} to {_PORTS[-1]} are free; end what uses them")


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that every block ends what it started."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
