"""Where runs are started: the port, and the runs on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog

from questline_core.errors import QuestlineError
from questline_pipelines.catalogue import function_of
from questline_pipelines.runs import run_here
from questline_pipelines.turns import going_on, turn

RUNNING, DONE = "running", "done"
"""Outcomes of runs; any other one says why the run failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a run of the pipeline had to learn from."""

    data_version: str
    until_micros: int
    """It knew labels of moments up to here."""


class Starter(Protocol):
    """Starts runs that go on by themselves."""

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> str:
        """Start a run and return its name.

        Raises:
            QuestlineError: it could not be started.
        """

    def running(self, pipeline: str) -> str:
        """Name a run of the pipeline that goes on, whoever started it; empty when none is known."""

    def outcome(self, run: str) -> str:
        """Tell what became of a run: `RUNNING`, `DONE`, or why it failed."""

    def learned(self, pipeline: str) -> Learned | None:
        """Tell what the latest run that came to its end had, whoever started it; None where it is not known."""


class Here:
    """Runs on this machine, each in a process of its own that ends with this one."""

    def __init__(self, folder: Path) -> None:
        """Set the folder of the runs."""
        self._folder = folder
        self._outcomes = dict[str, str]()

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> str:
        """See `Starter`."""
        function, has_turn = function_of(pipeline), ExitStack()
        name = has_turn.enter_context(turn(self._folder, pipeline))
        self._outcomes[name] = RUNNING
        given = (name, function, parameters, has_turn)
        threading.Thread(target=self._run, args=given, name=name, daemon=True).start()
        return name

    def _run(self, name: str, function: str, parameters: Mapping[str, Any], has_turn: ExitStack) -> None:
        log = structlog.get_logger().bind(run=name)
        try:
            with has_turn:
                ran = run_here(name, parameters, function=function, folder=self._folder)
        except QuestlineError as error:
            log.warning("run failed", why=str(error))
            self._outcomes[name] = str(error).splitlines()[0]
        except Exception as error:
            log.exception("run broke off")
            self._outcomes[name] = f"it broke off: {type(error).__name__}"
        else:
            log.info("run ended", shipped=ran.shipped, revision=ran.revision)
            self._outcomes[name] = DONE

    def running(self, pipeline: str) -> str:
        """See `Starter`."""
        return going_on(self._folder, pipeline)

    def outcome(self, run: str) -> str:
        """See `Starter`."""
        return self._outcomes.get(run) or self._found(run)

    def _found(self, run: str) -> str:
        """Tell what became of a run that another process started, by what it left: its turn, or its record."""
        pipeline, *_ = run.rsplit("-", 3)
        if going_on(self._folder, pipeline) == run:
            return RUNNING
        try:
            error = json.loads((self._folder / "runs" / run / "run.json").read_bytes())["error"]
        except FileNotFoundError:
            return "it broke off when the trigger ended"
        return str(error).splitlines()[0] if error else DONE

    def learned(self, pipeline: str) -> Learned | None:
        """See `Starter`."""
        for record in sorted(self._folder.glob(f"runs/{pipeline}-[0-9]*/run.json"), reverse=True):
            run = json.loads(record.read_bytes())
            if not run["error"] and "parameters" in run:  # records of earlier versions lack them
                until = run["metrics"]["last_micros"]
                return Learned(data_version=run["parameters"]["data_version"], until_micros=until)
        return None
