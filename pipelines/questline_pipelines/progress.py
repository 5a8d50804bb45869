"""Show people how a run goes: a table that moves on a terminal, one line for each finished step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from questline_pipelines.events import State, StepEvent

STYLES = {
    State.WAITING: "dim",
    State.RUNNING: "bold cyan",
    State.DONE: "green",
    State.FAILED: "bold red",
    State.SKIPPED: "yellow",
}


class Board:
    """The steps of a run as they stand now; rich asks for it four times a second."""

    def __init__(self) -> None:
        self._steps = dict[str, StepEvent]()
        self._started = dict[str, float]()

    def see(self, event: StepEvent) -> None:
        """Take in an event."""
        self._steps[event.name] = event
        if event.state is State.RUNNING:
            self._started[event.name] = time.monotonic()

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for step in self._steps.values():
            table.add_row(*self._cells(step))
        return table

    def _cells(self, step: StepEvent) -> tuple[Text, ...]:
        seconds = time.monotonic() - self._started[step.name] if step.state is State.RUNNING else step.seconds
        return Text(f"  {step.name}"), Text(_word(step), STYLES[step.state]), Text(_time(step, seconds))


def _word(step: StepEvent) -> str:
    return "cached" if step.cached else str(step.state)


def _time(step: StepEvent, seconds: float) -> str:
    return "" if step.state in {State.WAITING, State.SKIPPED} else f"{seconds:6.1f} s"


@contextmanager
def shown(console: Console) -> Iterator[Callable[[StepEvent], None]]:
    """Show the steps while the block runs; yields the function to be told of events."""
    if console.is_terminal:
        board = Board()
        with Live(board, console=console, refresh_per_second=4):
            yield board.see
    else:
        yield lambda event: _print(console, event)


def _print(console: Console, step: StepEvent) -> None:
    if step.state.is_final:
        console.print(f"{step.name:14} {_word(step):8} {_time(step, step.seconds)}", highlight=False)
