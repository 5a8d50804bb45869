"""`questline new`: begin a step or a pipeline of your own, with a test that passes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

new = typer.Typer(
    help="Begin a step or a pipeline of your own, with a test that passes.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help="Name of the function, such as count_players.")]
Folder = Annotated[Path, typer.Option(help="Where to write the two files.")]


@new.command()
def component(name: Name, *, folder: Folder = Path()) -> None:
    """Write a step, and its test."""
    _write("component", name, folder)


@new.command()
def pipeline(name: Name, *, folder: Folder = Path()) -> None:
    """Write a pipeline of two steps, and its test."""
    _write("pipeline", name, folder)


def _write(kind: str, name: str, folder: Path) -> None:
    from questline_pipelines.new.skeleton import write_skeleton

    made = write_skeleton(kind, name, folder)
    print("\n".join([*(f"wrote {path}" for path in made), f"try it: pytest {made[1]}"]))
