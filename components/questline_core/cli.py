"""The `questline` command: finds the sub-commands of the installed rooms, and imports only the one that is called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click
import typer

from questline_core.errors import MissingExtra, QuestlineError

GROUP = "questline.commands"


def as_command(target: Any, name: str) -> click.Command:
    """Make a click command of what a room registers: a function, or a Typer app with sub-commands."""
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    app = typer.Typer(add_completion=False)
    app.command(name)(target)
    return typer.main.get_command(app)


def load_command(point: EntryPoint) -> click.Command:
    """Import one sub-command.

    Raises:
        MissingExtra: a package that it needs is not installed.
    """
    try:
        return as_command(point.load(), point.name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("questline"):
            raise
        room = point.module.split(".")[0].removeprefix("questline_")
        raise MissingExtra(f"questline {point.name}", room if room != "core" else "all") from error


class Rooms(click.Group):
    """A group whose commands are entry points, loaded when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands of every installed room."""
        return sorted(point.name for point in entry_points(group=GROUP))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the command of this name; one that cannot be loaded explains itself when it is called."""
        for point in entry_points(group=GROUP, name=cmd_name):
            try:
                command = load_command(point)
            except MissingExtra as error:
                return click.Command(cmd_name, callback=_raising(error), help=f"Not installed. {error}")
            command.name = cmd_name
            return command
        return None


def _raising(error: QuestlineError) -> Callable[[], None]:
    def callback() -> None:
        raise error

    return callback


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="questline")
def questline() -> None:
    """Telemetry in, predictions back: a machine-learning platform for live games."""


def main() -> None:
    """Run a command; an error of ours is one sentence on standard error and exit code 1, never a stack trace."""
    try:
        questline(standalone_mode=True)
    except QuestlineError as error:
        print(f"questline: {error}", file=sys.stderr)  # noqa: T201 - what a person reads
        sys.exit(1)
