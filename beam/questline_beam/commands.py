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
    if until_idle:
        typer.echo(
            f"{progress.rows} rows, {progress.duplicates} duplicates, {progress.rejects} rejects "
            f"in {progress.batches} batches; {progress.backlog} messages wait, {progress.dead_letters} were given up"
        )


@stream.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def submit(
    context: typer.Context,
    *,
    subscription: Annotated[str, typer.Option(help="projects/PROJECT/subscriptions/NAME, which brings the events.")],
    dead_letters: Annotated[
        str, typer.Option(help="Address of a broker that gets what is rejected, such as pubsub:PROJECT/TOPIC.")
    ] = "",
) -> None:
    """Start the same stream as a job on a Beam runner; more options are Beam's, such as --runner=DataflowRunner."""
    from questline_beam.cloud import submit as submit_job
    from questline_core.logs import configure_logs
    from questline_core.settings import PlatformSettings

    configure_logs("stream")
    settings = PlatformSettings.read()
    submit_job(settings, subscription=subscription, dead_letters=dead_letters, options=context.args)
    typer.echo(f"the job was started; it writes to {settings.warehouse_url}")
