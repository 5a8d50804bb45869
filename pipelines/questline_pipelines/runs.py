"""Run a pipeline on this machine: in a process of its own, whose output goes to the run's log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import IO, Any

import psutil

from questline_core.errors import QuestlineError
from questline_core.processes import write_atomically
from questline_core.stack.supervisor import die_with_parent, end_tree
from questline_pipelines.events import StepEvent
from questline_pipelines.record import Run, record
from questline_pipelines.request import Request

Watch = Callable[[StepEvent], None]


class RunFailed(QuestlineError):
    """Raised when a run did not come to its end."""

    def __init__(self, why: str, log: Path) -> None:
        super().__init__(f"{why}\nThe run's whole log: {log}")
        self.why, self.log = why, log


def run_here(
    name: str, parameters: Mapping[str, Any], *, function: str, folder: Path, watch: Watch = lambda _: None
) -> Run:
    """Run a pipeline to its end and write `runs/RUN/run.json`.

    Args:
        name: of the run, as `turn` gave it.
        parameters: arguments of the pipeline function.
        function: the pipeline, as `module:function`.
        folder: `Home.pipelines`, for the runs, their outputs and the cache.
        watch: told of each step that comes to a new state.

    Raises:
        RunFailed: a step failed; says which and why.
    """
    place = folder / "runs" / name
    place.mkdir(parents=True)
    request = Request(
        function=function,
        parameters=parameters,
        log=place / "log.txt",
        outputs=folder / "outputs",
        cache=folder / "cache",
    )
    steps = dict[str, StepEvent]()
    with request.log.open("a", encoding="utf-8") as log, _running(request, log) as events:
        for line in events:
            event = StepEvent.from_line(line)
            steps[event.name] = event
            watch(event)
    if not steps or any(not step.state.is_final for step in steps.values()):
        raise RunFailed("the run broke off outside its steps", request.log)
    run = _keep(record(name, parameters, steps), place)
    if run.error:
        raise RunFailed(run.error, request.log)
    return run


@contextmanager
def _running(request: Request, log: IO[str]) -> Iterator[IO[str]]:
    """Start the process, yield its events, and leave neither it nor a step behind."""
    with (
        TemporaryDirectory(prefix="questline-") as scratch,  # each step leaves a copy of its source there
        subprocess.Popen(
            [sys.executable, "-m", "questline_pipelines.local"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONSAFEPATH": "1", "TMPDIR": scratch},
            preexec_fn=die_with_parent,  # noqa: PLW1509 - set before any thread runs here
            start_new_session=True,  # Ctrl-C comes to us alone, and we end the steps
        ) as child,
    ):
        try:
            assert child.stdin and child.stdout  # noqa: S101, PT018 - both are pipes
            child.stdin.write(request.to_line())
            child.stdin.close()
            yield child.stdout
        finally:
            if child.poll() is None:
                end_tree(psutil.Process(child.pid))


def _keep(run: Run, place: Path) -> Run:
    """Write the record, and the pages beside it under names that a browser or an editor knows."""
    run = replace(
        run,
        report=_copied(run.report, place / "report.html"),
        card=_copied(run.card, place / "model_card.md"),
    )
    write_atomically(place / "run.json", run.to_json(indent=2))
    return run


def _copied(artifact: str | None, target: Path) -> str | None:
    return str(copyfile(artifact, target)) if artifact else None
