"""`questline pipelines`: run a pipeline on this machine, or on Kubeflow."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from questline_core.settings import PlatformSettings
from questline_pipelines.cluster.commands import diff, schedule, submit, watch

pipelines = typer.Typer(
    help="Run a pipeline on this machine, or on Kubeflow.", no_args_is_help=True, add_completion=False
)
runs = typer.Typer(help="Run a pipeline on this machine and roll out what it makes.", no_args_is_help=True)
pipelines.add_typer(runs, name="run")
for command in (submit, schedule, watch, diff):
    pipelines.command()(command)


def _signed(override: str) -> str:
    """Take an override that tells who and why."""
    who, _, why = override.partition(":")
    if override and not (who.strip() and why.strip()):
        raise typer.BadParameter('write who and why, such as "Ana: the launch is today"')
    return override


@runs.callback()
def _runs() -> None:
    """Keep the pipeline's name in the command, also while there is only one."""


@runs.command("spend")
def run_spend(  # noqa: PLR0913 - one for each thing that may be asked
    *,
    epochs: Annotated[int, typer.Option(min=1, help="How often training goes through the examples.")] = 20,
    horizon_hours: Annotated[int, typer.Option(min=1, help="How far ahead spend is predicted.")] = 24,
    holdout_days: Annotated[int, typer.Option(min=1, help="Last days of the data, kept to judge with.")] = 7,
    seed: Annotated[int, typer.Option(help="Of everything that is random in training.")] = 1,
    budget: Annotated[int, typer.Option(min=1, help="How many settings of the network are tried.")] = 1,
    strict: Annotated[bool, typer.Option(help="Ship only what beats every rival beyond doubt.")] = False,
    override: Annotated[
        str,
        typer.Option(metavar="WHO: WHY", help="Ship whatever the gate finds; this is recorded.", callback=_signed),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as one line of JSON.")] = False,
) -> None:
    """Train the spend model on the events that are here now, judge it, and let it serve if it is good enough.

    Steps whose inputs have not changed since an earlier run are taken from that run.
    """
    from questline_pipelines.now import spend_parameters

    settings = PlatformSettings.read()
    training = {"horizon_hours": horizon_hours, "holdout_days": holdout_days, "epochs": epochs, "seed": seed}
    training["budget"] = budget
    asked = {"strict": strict, "override": override}
    _run("spend", lambda: spend_parameters(settings, training) | asked, settings, as_json=as_json)


@runs.command("churn")
def run_churn(
    *,
    grace_hours: Annotated[
        int, typer.Option(min=0, help="How long after the first 24 hours a player may still come back.")
    ] = 144,
    seen_days: Annotated[int, typer.Option(min=1, help="Who was seen within these days is scored.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the run's record as one line of JSON.")] = False,
) -> None:
    """Train the three churn models on the events that are here now, choose one, and serve everybody's score."""
    from questline_pipelines.now import churn_parameters

    settings = PlatformSettings.read()
    asked = {"grace_hours": grace_hours, "seen_days": seen_days}
    _run("churn", lambda: churn_parameters(settings) | asked, settings, as_json=as_json)


def _run(
    pipeline: str, parameters: Callable[[], Mapping[str, Any]], settings: PlatformSettings, *, as_json: bool
) -> None:
    """Run when no other run of the pipeline goes on, with the world as it is then."""
    from rich.console import Console

    from questline_pipelines.catalogue import function_of
    from questline_pipelines.progress import shown
    from questline_pipelines.runs import run_here
    from questline_pipelines.turns import turn

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console, folder = Console(stderr=True), settings.paths.pipelines
    with turn(
        folder, pipeline, waits=lambda other: console.print(f"{other} goes on; this run begins after it")
    ) as name:
        given = parameters()
        with shown(console) as watch:
            run = run_here(name, given, function=function_of(pipeline), folder=folder, watch=watch)
    if as_json:
        print(run.to_json())
        return
    outcome = f"{run.revision} serves" if run.shipped else "not shipped; what serves stays as it is"
    print("\n".join([f"{run.run}: {outcome}", *(f"  {reason}" for reason in run.reasons), f"report: {run.report}"]))


@pipelines.command("compile")
def compile_(
    pipeline: Annotated[str, typer.Argument(help="The pipeline, such as spend.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")],
    *,
    vertex: Annotated[bool, typer.Option("--vertex", help="For Vertex AI Pipelines.")] = False,
) -> None:
    """Write a pipeline in the form that Kubeflow Pipelines or Vertex AI Pipelines runs."""
    from questline_pipelines.cluster.fitted import compile_fitted
    from questline_pipelines.settings import PipelineSettings

    compile_fitted(pipeline, output, PipelineSettings.read(), vertex=vertex)
    print(f"wrote {output}")
