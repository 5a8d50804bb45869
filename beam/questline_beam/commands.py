"""`questline stream`: the process that makes rows of events."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

stream = typer.Typer(no_args_is_help=True)


@stream.callback()
def root() -> None:
    """Make rows of the events that the gateway took."""


@stream.command()
def run(
    *,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when no message waits any more.")] = False,
) -> None:
    """Write events to the warehouse until SIGTERM or Ctrl-C; a batch that was begun is finished."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    from questline_beam.process import run_stream
    from questline_beam.settings import StreamSettings
    from questline_core.logs import configure_logs

    configure_logs("stream")
    progress = run_stream(StreamSettings.read(), stop, until_idle=until_idle)
    typer.echo(
        f"{progress.rows} rows, {progress.duplicates} duplicates, {progress.rejects} rejects "
        f"in {progress.batches} batches; {progress.backlog} messages wait, {progress.dead_letters} were given up"
    )
