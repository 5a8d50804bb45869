"""`questline trigger`: what starts runs by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

trigger = typer.Typer(
    help="Start runs by themselves: for load, new labels, drift, and finished exports.", no_args_is_help=True
)


@trigger.callback()
def _root() -> None:
    """Keep the sub-commands."""


@trigger.command()
def serve() -> None:
    """Take pushes, and look at the warehouse between them, until SIGTERM or Ctrl-C."""
    from questline_core.logs import configure_logs
    from questline_pipelines.trigger.process import serve as serve_trigger
    from questline_pipelines.trigger.settings import TriggerSettings

    configure_logs("trigger")
    serve_trigger(TriggerSettings.read())


@trigger.command()
def log(*, count: Annotated[int, typer.Option(min=1, help="How many decisions to show.")] = 20) -> None:
    """Show what was decided, newest first, and what became of the runs."""
    from questline_pipelines.trigger.process import opened
    from questline_pipelines.trigger.settings import TriggerSettings
    from questline_pipelines.trigger.starter import RUNNING, Here

    settings = TriggerSettings.read_existing()
    here = None if settings.kfp_endpoint else Here(settings.paths.pipelines)
    with opened(settings) as ledger:
        entries = ledger.latest(count)
    for one in entries:
        at, outcome = datetime.fromtimestamp(one.at_s, UTC), one.outcome or ""
        if here and one.run and outcome == RUNNING:  # of a run here the next look would tell no more
            outcome = here.outcome(one.run)
        print(f"{at:%Y-%m-%d %H:%M:%S}  {one.action:8} {one.cause}: {one.decision} {one.run or ''} {outcome}")
    if not entries:
        print("nothing was decided yet")
