"""`questline pipelines submit|schedule|watch|diff`: the same pipelines on Kubeflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from questline_core.errors import BadInput, QuestlineError

if TYPE_CHECKING:
    from questline_pipelines.settings import PipelineSettings

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Another value than the default; may be repeated."),
]
Pipeline = Annotated[str, typer.Argument(help="The pipeline, such as spend.")]


class RunEnded(QuestlineError):
    """Raised when a run that was watched did not succeed."""


def submit(
    pipeline: Pipeline,
    *,
    parameter: Parameters = None,
    follow: Annotated[bool, typer.Option("--watch", help="Wait for the end, and fail if the run does.")] = False,
) -> None:
    """Start a run on Kubeflow Pipelines, with the data and the champion as they are now."""
    from datetime import UTC, datetime

    from questline_pipelines.cluster.client import Kubeflow

    settings = _settings()
    name = f"{pipeline}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    run = Kubeflow(settings).submit(pipeline, _arguments(pipeline, settings, parameter), name=name)
    print(run)
    if follow:
        _follow(Kubeflow(settings), run)


def schedule(
    pipeline: Pipeline,
    cron: Annotated[str, typer.Option(help="When: six fields, seconds first, in UTC.")],
    *,
    parameter: Parameters = None,
) -> None:
    """Let Kubeflow Pipelines start runs again and again, always of the newest version; replaces an earlier schedule."""
    from questline_pipelines.cluster.client import Kubeflow

    settings = _settings()
    given = _arguments(pipeline, settings, parameter)
    if "data_version" in given:
        given["data_version"] = "scheduled"  # it is another in each run
    print(Kubeflow(settings).schedule(pipeline, given, cron=cron))


def watch(run: Annotated[str, typer.Argument(help="Id of the run, as `submit` printed it.")]) -> None:
    """Show how a run on Kubeflow Pipelines goes until it ends; exit code 1 if it does not succeed."""
    from questline_pipelines.cluster.client import Kubeflow

    _follow(Kubeflow(_settings()), run)


def diff(
    pipeline: Pipeline,
    *,
    against: Annotated[
        Path | None, typer.Option(help="A compiled pipeline; the newest version on Kubeflow Pipelines if not given.")
    ] = None,
) -> None:
    """Tell which steps a change of the code runs again, and why."""
    from tempfile import TemporaryDirectory

    from questline_pipelines.cluster.client import Kubeflow
    from questline_pipelines.cluster.diff import differences
    from questline_pipelines.cluster.fitted import compile_fitted

    settings = _settings()
    with TemporaryDirectory() as folder:
        compile_fitted(pipeline, Path(folder) / "new.yaml", settings)
        new = _read(Path(folder) / "new.yaml")
    old: Any = _read(against) if against else Kubeflow(settings).spec(pipeline)
    if old is None:
        raise BadInput(f"there is no pipeline {pipeline} on Kubeflow Pipelines yet; give a file with --against")
    found = differences(old.get("pipeline_spec", old), new)
    for one in found:
        print(f"{one.step:12} {one.kind}{f': {one.why}' if one.why else ''}")
    print(f"{sum(one.runs_again for one in found)} of {len(found)} steps run again")


def _settings() -> PipelineSettings:
    from questline_pipelines.settings import PipelineSettings

    return PipelineSettings.read()


def _read(path: Path) -> Any:
    import yaml

    try:
        return next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise BadInput(f"{path} is no compiled pipeline ({error}); `questline pipelines compile` writes one") from None


def _arguments(pipeline: str, settings: PipelineSettings, given: list[str] | None) -> dict[str, Any]:
    import yaml

    from questline_pipelines.now import backfill_parameters, churn_parameters, spend_parameters

    chosen = {name: yaml.safe_load(value) for name, _, value in (one.partition("=") for one in given or ())}
    if pipeline == "churn":
        return _with(churn_parameters(settings), chosen)
    if pipeline == "backfill":
        asked = _with(backfill_parameters(settings), chosen)
        return asked | {"days": str(asked["days"])}  # one day alone is a date in YAML
    if pipeline != "spend":
        raise BadInput(f"there is no pipeline {pipeline!r} to start; there are backfill, churn, spend")
    usual = {"horizon_hours": 24, "holdout_days": 7, "epochs": 20, "seed": 1, "budget": 1}
    return spend_parameters(settings, _with(usual, chosen))


def _with(known: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    if unknown := sorted(chosen.keys() - known.keys()):
        raise BadInput(f"there is no parameter {unknown[0]!r} to choose; there are {', '.join(known)}")
    return known | chosen


def _follow(kubeflow: Any, run: str) -> None:
    shown = dict[str, str]()
    while True:
        state = kubeflow.state(run)
        for task in state.tasks:
            if shown.get(task.name) != task.state:
                shown[task.name] = task.state
                print(f"{task.name:24} {task.state.lower()}", flush=True)
        if state.is_final:
            break
        time.sleep(2)
    if state.state != "SUCCEEDED":
        raise RunEnded(f"the run {run} ended as {state.state.lower()}{f': {state.error}' if state.error else ''}")
    print(f"the run {run} succeeded")
