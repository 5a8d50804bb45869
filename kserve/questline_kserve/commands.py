"""`questline serving`: answer for the models."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from questline_core.errors import BadInput
from questline_core.grpc_polling import let_grpc_poll

serving = typer.Typer(no_args_is_help=True, help="Serve the models by the V1 and V2 protocols, REST and gRPC.")


@serving.callback()
def root() -> None:
    """Keep `run` a sub-command, although it is the only one."""


@serving.command()
def run(
    model_dir: Annotated[
        Path | None,
        typer.Option(help="Serve this one model version, as in a pod, instead of obeying the InferenceServices."),
    ] = None,
    name: Annotated[str, typer.Option(help="With --model-dir: the model's name in requests.")] = "",
) -> None:
    """Serve what the InferenceServices in QUESTLINE_HOME/serving declare, and follow their changes."""
    if bool(model_dir) != bool(name):
        raise BadInput("--model-dir and --name belong together: the folder of one model version and the model's name")
    for number in (signal.SIGTERM, signal.SIGINT):  # until the servers run, there is nothing to end with care
        signal.signal(number, lambda *_: sys.exit(0))
    let_grpc_poll()

    from questline_core.logs import configure_logs
    from questline_kserve.settings import PROCESS, ServingSettings
    from questline_kserve.workers import Wanted
    from questline_kserve.workers import run as serve

    configure_logs(PROCESS)
    serve(Wanted(settings=ServingSettings.read(), name=name, uri=str(model_dir or "")))
