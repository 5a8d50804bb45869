"""`questline up`, `status`, `down` and `demo`: the whole platform on one machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.stack.supervisor import ProcessState, Supervisor


def up(
    *,
    trigger: Annotated[bool, typer.Option(help="Let load, new labels and drift start training by themselves.")] = True,
) -> None:
    """Start serving, gateway, stream and trigger in the background; `questline down` ends them."""
    from rich.console import Console

    from questline_core.errors import QuestlineError
    from questline_core.settings import PlatformSettings
    from questline_core.stack.supervisor import BY_ITSELF, SERVICES, Supervisor

    supervisor, console = Supervisor(PlatformSettings.read().paths), Console(stderr=True)
    names = [*SERVICES, *(BY_ITSELF if trigger else ())]
    started: list[str] = []
    try:
        for name in names:
            if supervisor.state(name).pid is None:
                console.print(f"starting the {name}")
                supervisor.start(name, detached=True)
                started.append(name)
        for name in names:
            with console.status(f"waiting for the {name}"):
                if not supervisor.state(name).ready:
                    supervisor.wait_ready(name)
            console.print(f"the {name} is ready")
    except (QuestlineError, KeyboardInterrupt):
        for name in started:
            supervisor.stop(name)
        raise
    _print_states([supervisor.state(name) for name in names])
    print(f"\nstate and logs: {supervisor.home.root}\nstop it with:   questline down")


def status(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False) -> None:
    """Show which processes run, where they listen and what they counted; exit code 1 when one is not seen to run."""
    from questline_core.stack.supervisor import BY_ITSELF, SERVICES

    supervisor = _supervisor()
    by_itself = (supervisor.state(name) for name in BY_ITSELF)
    states = [
        *(supervisor.state(name) for name in SERVICES),
        *(state for state in by_itself if state.pid or state.elsewhere),
    ]
    if as_json:
        print(
            json.dumps({s.name: {"pid": s.pid, "ready": s.ready, "elsewhere": s.elsewhere, **s.facts} for s in states})
        )
    else:
        _print_states(states)
    if not all(state.ready for state in states):
        raise typer.Exit(1)


def down() -> None:
    """End what `questline up` started; the gateway drains first."""
    from rich.console import Console

    console = Console(stderr=True)
    stopped = _supervisor().stop_all(before_each=lambda name: console.print(f"ending the {name}"))
    print(f"ended: {', '.join(stopped)}" if stopped else "nothing was running")


def demo(  # noqa: PLR0913 - one argument an option
    *,
    events: Annotated[
        list[str] | None,
        typer.Option(help="A GA4 export (NDJSON) to import first, or FILE=MAPPING for other logs; may be repeated."),
    ] = None,
    players: Annotated[
        int, typer.Option(min=2000, help="Players to simulate; fewer do not spend and leave enough to judge by.")
    ] = 3000,
    days: Annotated[int, typer.Option(min=14, help="Days of history to simulate.")] = 28,
    end: Annotated[
        str | None, typer.Option(metavar="DATE", help="The simulated history ends on this day at 00:00 UTC; today.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated players and of the training.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for report.html and summary.json.")] = Path("demo-out"),
) -> None:
    """Run the whole loop here: events, rows, two models, roll-out, predictions, and a crash that loses nothing."""
    from questline_core.settings import PlatformSettings
    from questline_core.stack.demo import Demo, Wishes

    home = PlatformSettings.read().paths.root / "demo"
    Demo.run(home, Wishes(events=tuple(events or ()), players=players, days=days, end=end, seed=seed, out=out))


def _supervisor() -> Supervisor:
    from questline_core.settings import PlatformSettings
    from questline_core.stack.supervisor import Supervisor

    return Supervisor(PlatformSettings.read_existing().paths)


def _print_states(states: list[ProcessState]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("process", "state", "pid", "what it says"):
        table.add_column(column, overflow="fold")
    for state in states:
        words = (
            "ready" if state.ready else "starting" if state.pid else "not seen" if state.elsewhere else "not running"
        )
        colour = {"ready": "green", "not running": "red"}.get(words, "yellow")
        facts = {key: value for key, value in state.facts.items() if key != "pid" and value not in ("", {})}
        said = ", ".join(f"{key}: {value}" for key, value in facts.items())
        if state.elsewhere:
            said = f"announced itself on {state.elsewhere}, which is not seen from here; `kubectl get pods` shows pods"
        table.add_row(state.name, f"[{colour}]{words}[/]", str(state.pid or "-"), said)
    Console().print(table)
