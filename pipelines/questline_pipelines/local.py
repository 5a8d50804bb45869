"""Run one pipeline by `kfp.local`: the main module of the process that does it, started by `questline_pipelines.runs`.

What KFP and the steps print goes to a log; standard output carries one line for each `StepEvent`.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

import psutil
from kfp import dsl, local
from kfp.local import graph_utils
from kfp.local.orchestrator import task_executor
from kfp.local.status import Status

from questline_components.code import code_version
from questline_pipelines.catalogue import load
from questline_pipelines.events import State, StepEvent
from questline_pipelines.failures import sentence
from questline_pipelines.request import Request

Tell = Callable[[StepEvent], None]


def main() -> None:
    """Run what the request on standard input asks for."""
    signal.signal(signal.SIGTERM, _end_steps)
    request = Request.from_line(sys.stdin.readline())
    events = sys.stdout

    def tell(event: StepEvent) -> None:
        events.write(event.to_line())
        events.flush()

    with request.log.open("a+", encoding="utf-8", buffering=1) as log, redirect_stdout(log):
        run(request, log, tell)


def run(request: Request, log: TextIO, tell: Tell) -> None:
    """Run a pipeline in this process and tell of each step; a failed step is told, not raised."""
    pipeline = load(request.function)
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(request.outputs),
        raise_on_error=False,
        enable_caching=True,
        # The cache's key has a step's few lines and its inputs. The kernel that they call is in the image on a
        # cluster, and the image is in the key; here other code has another cache.
        cache_root=str(request.cache / code_version()),
    )
    names = step_names(pipeline.pipeline_spec)
    for name in names.values():
        tell(StepEvent(name=name, state=State.WAITING))
    with told(log, tell, names) as seen:
        pipeline(**request.parameters)
    for name in names.values():
        if name not in seen:
            tell(StepEvent(name=name, state=State.SKIPPED))


def step_names(spec: Any) -> dict[str, str]:
    """Name the steps of a compiled pipeline in the order in which they run, those under a condition with them.

    Returns:
        What people call a step, by its task: `train trees` by `train-2`.
    """
    return dict(_steps(spec, spec.root))


def _steps(spec: Any, component: Any) -> Iterator[tuple[str, str]]:
    tasks = component.dag.tasks
    for name in reversed(graph_utils.topological_sort_tasks(tasks)):
        inner = spec.components[tasks[name].component_ref.name]
        if inner.WhichOneof("implementation") == "dag":
            yield from _steps(spec, inner)
        else:
            yield name, tasks[name].task_info.name


@contextmanager
def told(log: TextIO, tell: Tell, names: Mapping[str, str]) -> Iterator[set[str]]:
    """Tell when a step starts and ends while the block runs; yields the names of the steps that did.

    KFP has no hook for this and prints it only as prose, so its function that runs one step is wrapped.
    """
    seen = set[str]()
    execute = task_executor.execute_single_task
    dispatch = task_executor.task_dispatcher.run_single_task_implementation
    here = threading.local()  # the turns of a loop run side by side

    def noted(**arguments: Any) -> Any:
        here.dispatched = True
        return dispatch(**arguments)

    def watched(**arguments: Any) -> Any:
        name, printed_before, started = _name(arguments, names), log.seek(0, 2), time.monotonic()
        here.dispatched = False
        seen.add(name)
        tell(StepEvent(name=name, state=State.RUNNING))
        outputs, status = execute(**arguments)
        failed = status != Status.SUCCESS
        log.seek(printed_before)
        tell(
            StepEvent(
                name=name,
                state=State.FAILED if failed else State.DONE,
                seconds=round(time.monotonic() - started, 2),
                cached=not here.dispatched,
                outputs={key: _plain(value) for key, value in outputs.items()},
                error=sentence(log.read()) if failed else "",
            )
        )
        return outputs, status

    task_executor.execute_single_task = watched
    task_executor.task_dispatcher.run_single_task_implementation = noted
    try:
        yield seen
    finally:
        task_executor.execute_single_task = execute
        task_executor.task_dispatcher.run_single_task_implementation = dispatch


def _name(arguments: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Name a step; the turns of a loop are numbered from the second on."""
    name = names[arguments["task_name"]]
    turn = re.search(r"-iteration-(\d+)", arguments["pipeline_resource_name"])
    number = int(turn[1]) + 1 if turn else 1
    return f"{name} {number}" if number > 1 else name


def _plain(value: Any) -> Any:
    return {"uri": value.uri, "metadata": value.metadata} if isinstance(value, dsl.Artifact) else value


def _end_steps(*_: object) -> None:
    """End the running step with this process, which would leave it behind otherwise."""
    for child in psutil.Process().children(recursive=True):
        child.kill()
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
