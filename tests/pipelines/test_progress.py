"""What people see of a run."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from questline_pipelines.events import State, StepEvent
from questline_pipelines.progress import Board, shown

EVENTS = [
    StepEvent(name="prepare", state=State.WAITING),
    StepEvent(name="train", state=State.WAITING),
    StepEvent(name="verify", state=State.WAITING),
    StepEvent(name="prepare", state=State.RUNNING),
    StepEvent(name="prepare", state=State.DONE, seconds=0.01, cached=True),
    StepEvent(name="train", state=State.RUNNING),
    StepEvent(name="train", state=State.DONE, seconds=12.34),
    StepEvent(name="verify", state=State.SKIPPED),
]


def test_without_a_terminal_each_finished_step_is_a_line() -> None:
    out = StringIO()
    with shown(Console(file=out)) as see:
        for event in EVENTS:
            see(event)

    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["prepare", "cached", "0.0", "s"],
        ["train", "done", "12.3", "s"],
        ["verify", "skipped"],
    ]


def test_on_a_terminal_every_step_has_its_line_from_the_start_and_a_running_one_counts() -> None:
    board, out = Board(), StringIO()
    for event in EVENTS[:6]:
        board.see(event)

    Console(file=out, width=80).print(board)

    lines = [line.split() for line in out.getvalue().splitlines()]
    assert lines[0] == ["prepare", "cached", "0.0", "s"]
    assert lines[1][:2] == ["train", "running"]
    assert lines[2] == ["verify", "waiting"]
