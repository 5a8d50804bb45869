"""The `questline` command: finds the sub-commands of the installed rooms, and imports only the one that is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from questline_core.errors import MissingExtra, QuestlineError

GROUP = "questline.commands"


def as_command(target: Any, name: str) -> Any:
    """Make a command of what a room registers: a function, or a Typer app with sub-commands."""
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    app = typer.Typer(add_completion=False)
    app.command(name)(target)
    return typer.main.get_command(app)


def load_command(point: EntryPoint) -> Any:
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


class Rooms(TyperGroup):
    """A group whose commands are entry points, loaded when they are named."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the framework's signature
        """Name the commands of every installed room."""
        return sorted(point.name for point in entry_points(group=GROUP))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the framework's signature
        """Load the command of this name; one that cannot be loaded explains itself when it is called."""
        for point in entry_points(group=GROUP, name=cmd_name):
            try:
                command = load_command(point)
            except MissingExtra as error:
                return _unavailable(cmd_name, error)
            command.name = cmd_name
            return command
        return None


def _unavailable(name: str, error: MissingExtra) -> TyperCommand:
    def explain() -> None:
        raise error

    return TyperCommand(name, callback=explain, help=f"Not installed. {error}")


questline = typer.Typer(cls=Rooms, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(version("questline"))  # noqa: T201 - what a person reads
        raise typer.Exit


@questline.callback()
def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Telemetry in, predictions back: a machine-learning platform for live games."""


def main() -> None:
    """Run `questline`."""
    run(questline, "questline")


def run(app: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a command; an error of ours is one sentence on standard error and exit code 1, never a stack trace."""
    try:
        app(arguments, prog_name=name)
    except QuestlineError as error:
        print(f"{name}: {error}", file=sys.stderr)  # noqa: T201 - what a person reads
        sys.exit(1)
