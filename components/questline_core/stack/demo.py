"""Show the whole loop here: events in, rows, training, roll-out, predictions, and a crash that loses nothing."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from questline_core.errors import BadInput, NotReady
from questline_core.models.port import open_model_host
from questline_core.settings import Home
from questline_core.stack.children import ask, finish, free_ports, running, terminated_like_interrupted
from questline_core.stack.leaving import Asked, ask_about_three, models_of, reasons_of
from questline_core.stack.report import COUNTS, fresh_of, page_of
from questline_core.stack.supervisor import SERVICES, Supervisor
from questline_core.warehouse.port import EVENTS, REJECTS, Warehouse, open_warehouse

KILLS = 2
ROWS_TIMEOUT_S = 120.0
SNAPSHOT_TIMEOUT_S = 30.0
GRACE_HOURS = 24
"""The history is short: with the six days that a game would take, few labels were due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a demo is asked to do."""

    events: tuple[str, ...]
    """Files to import: FILE, or FILE=MAPPING."""
    players: int
    days: int
    end: str | None
    """YYYY-MM-DD; None is today."""
    seed: int
    out: Path


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the events that were sent."""

    sent: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0

    def add(self, report: dict[str, Any]) -> None:
        """Add what one sender reported."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + int(report[name]))


@dataclass(slots=True, kw_only=True)
class Findings:
    """Everything that the demo saw, in the form of `summary.json`."""

    tally: Tally = field(default_factory=Tally)
    by_source: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    rejects_kept: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    churn: dict[str, Any] = field(default_factory=dict)
    """The run of the churn pipeline."""
    asked: list[Asked] = field(default_factory=list)
    crash: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, source: str, report: dict[str, Any]) -> None:
        """Count what one sender reported, in all and under its own name."""
        self.tally.add(report)
        before = self.by_source.get(source, {})
        self.by_source[source] = {**report, **{name: before.get(name, 0) + report[name] for name in COUNTS}}

    def summary(self) -> dict[str, Any]:
        """Give the facts by which the demo is judged, first those that must reconcile."""
        return {
            **asdict(self.tally),
            "rows": self.rows,
            "rejects_kept": self.rejects_kept,
            "acknowledged_lost": self.crash.get("acknowledged_lost"),
            "spend_revision": self.run.get("revision"),
            "metrics": self.run.get("metrics"),
            "churn_generation": self.churn.get("revision"),
            "churn_metrics": self.churn.get("metrics"),
            "churn_answers": [asdict(one) for one in self.asked],
            "by_source": self.by_source,
            "crash": self.crash,
            "seconds": self.seconds,
        }


class Demo:
    """One demonstration: its processes, its findings, and what the person at the terminal sees."""

    def __init__(self, home: Path, wishes: Wishes) -> None:
        gateway, rest, grpc = free_ports(3)
        self.wishes, self.found, self.console = wishes, Findings(), Console(stderr=True)
        self.environment = {
            "QUESTLINE_HOME": str(home),
            "QUESTLINE_LISTEN": f"127.0.0.1:{gateway}",
            "QUESTLINE_SPEND_ADDRESS": f"127.0.0.1:{grpc}",
            "QUESTLINE_CHURN_ADDRESS": f"127.0.0.1:{grpc}",
            "QUESTLINE_SERVING_REST_PORT": str(rest),
            "QUESTLINE_SERVING_GRPC_PORT": str(grpc),
        }
        self.home = Home(home)
        self.supervisor = Supervisor(self.home, self.environment)
        self.address = self.environment["QUESTLINE_LISTEN"]

    @classmethod
    def run(cls, home: Path, wishes: Wishes) -> Findings:
        """Run a demo from a clean folder; whatever happens, no process of it is left.

        Raises:
            BadInput: a file to import is not there, or a folder cannot be written.
        """
        _check(home, wishes)
        with terminated_like_interrupted():
            Supervisor(Home(home)).stop_all()  # what an earlier demo that was killed may have left
            shutil.rmtree(home, ignore_errors=True)
            demo = cls(home, wishes)
            try:
                demo.show()
            finally:
                demo.supervisor.stop_all()
        return demo.found

    def show(self) -> None:
        """Go once round the loop."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("Start serving, gateway and stream", self.start),
            *((f"Import {_short(wish)}", self.importing(wish)) for wish in self.wishes.events),
            (f"Simulate {self.wishes.players:,} players over {self.wishes.days} days (generated)", self.simulate),
            ("Wait for the rows", self.wait_for_rows),
            ("Train, judge and roll out a spend model", self.train),
            ("Ask the gateway what players will spend", self.ask_for_spend),
            ("Train three churn models, choose one, and serve everybody's score", self.train_churn),
            ("Ask who will leave, and why", self.ask_for_churn),
            (f"Kill the gateway with -9 under load, {KILLS} times", self.crash),
            ("Write the report", self.report),
        ]
        for number, (title, step) in enumerate(steps, 1):
            with self.step(f"{number}/{len(steps)}  {title}") as tell:
                tell(step())

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """Print a step's title before it and what it found after it."""
        self.console.print(f"[bold cyan]{title}[/]")
        began, said = time.monotonic(), list[str]()
        yield said.append
        took = time.monotonic() - began
        self.found.seconds[title.split("  ")[1]] = round(took, 1)
        self.console.print(f"     {said[0]} [dim]({took:.1f} s)[/]")

    def start(self) -> str:
        """Start the three processes together and wait until each is ready."""
        for name in SERVICES:
            self.supervisor.start(name)
        for name in SERVICES:
            self.supervisor.wait_ready(name)
        return f"gateway at {self.address}, state under {self.home.root}"

    def importing(self, wish: str) -> Callable[[], str]:
        """Make the step that sends one file through the gateway."""
        path, _, mapping = wish.partition("=")
        options = ("--mapping", mapping) if mapping else ()

        def step() -> str:
            report = self.ask("events", "import", path, *options, "--address", self.address, "--json")
            self.found.note(_short(wish), report)
            return _tell(report)

        return step

    def simulate(self) -> str:
        """Send generated histories, with the resends and the broken events of real clients among them."""
        report = self.ask(
            *self._players(self.wishes.players, self.wishes.days, self.wishes.seed), "--invalid-rate", "0.001"
        )
        self.found.note("simulated players (generated)", report)
        return _tell(report)

    def wait_for_rows(self) -> str:
        """Wait until the table holds every accepted event, and count."""
        with self.warehouse() as warehouse, self.bar("rows", self.found.tally.accepted) as advance_to:
            deadline = time.monotonic() + ROWS_TIMEOUT_S
            while (rows := _count(warehouse, EVENTS)) < self.found.tally.accepted:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"only {rows:,} rows after {ROWS_TIMEOUT_S:.0f} s (log: {self.supervisor.log('stream')})"
                    )
                advance_to(rows)
                time.sleep(0.5)
            advance_to(rows)
            while _count(warehouse, REJECTS) < self.found.tally.rejected and time.monotonic() < deadline:
                time.sleep(0.5)
            self.found.rows, self.found.rejects_kept = rows, _count(warehouse, REJECTS)
        return f"{rows:,} rows = {self.found.tally.accepted:,} accepted; {self.found.rejects_kept:,} rejects kept"

    def train(self) -> str:
        """Run the pipeline, which ends with a verified roll-out."""
        self.found.run = self.ask("pipelines", "run", "spend", "--seed", str(self.wishes.seed), "--json")
        if not self.found.run["shipped"]:
            raise NotReady(f"the gate did not ship the model: {' '.join(self.found.run['reasons'])}")
        self.say(self.found.run["reasons"])
        return f"revision {self.found.run['revision']} is served"

    def ask_for_spend(self) -> str:
        """Send one event for each of some players and ask for a prediction in the same call."""
        with self.warehouse() as warehouse:
            players = warehouse.query(
                "SELECT user_pseudo_id AS player FROM telemetry.events WHERE origin = 'generated' "
                "GROUP BY player ORDER BY MAX(event_timestamp) DESC LIMIT 50"
            )["player"].to_pylist()
        named = [part for player in players for part in ("--player", str(player))]
        answer = self.ask("gateway", "ask", *named, "--predict", "spend", "--address", self.address, "--json")
        self.found.answers = answer["answers"]
        self.found.note("asks for a prediction", answer["report"])
        fresh = fresh_of(self.found.answers)
        if not fresh or {one["revision"] for one in fresh} != {self.found.run["revision"]}:
            log = self.supervisor.log("gateway")
            raise NotReady(f"the gateway does not answer from {self.found.run['revision']} (log: {log})")
        self.say(
            f"{one['player'][:12]}…  spends {one['value']:.2f} in 24 h (at 80 %: {one['lower_bound']:.0f} to "
            f"{one['upper_bound']:.0f}), any: {one['probability']:.1%}, {one['latency_ms']:.1f} ms"
            for one in sorted(fresh, key=lambda a: -a["value"])[:3]
        )
        times = sorted(one["latency_ms"] for one in fresh)
        return (
            f"{len(fresh)} of {len(self.found.answers)} fresh from {self.found.run['revision']}; "
            f"median {times[len(times) // 2]:.1f} ms"
        )

    def train_churn(self) -> str:
        """Run the pipeline; if none of the models beats the base rate, everybody has a prior, which says so."""
        self.found.churn = self.ask("pipelines", "run", "churn", "--grace-hours", str(GRACE_HOURS), "--json")
        self.say(f"{name}: log loss {loss}, ROC AUC {auc}" for name, loss, auc in models_of(self.found.churn))
        self.say(self.found.churn["reasons"])
        return f"generation {self.found.churn['revision']} is served"

    def ask_for_churn(self) -> str:
        """Ask the lookup about three players, and the gateway for both predictions in one call."""
        with self.warehouse() as warehouse:
            self.found.asked = ask_about_three(warehouse, open_model_host(f"folder:{self.home.serving}"))
        self.say(
            f"a {one.kind} one, {one.player[:12]}…  leaves: {one.probability:.1%}; {reasons_of(one)}"
            for one in self.found.asked
        )
        named = [part for one in self.found.asked for part in ("--player", one.player)]
        deadline, wanted = time.monotonic() + SNAPSHOT_TIMEOUT_S, {one.generation for one in self.found.asked}
        while True:
            answer = self.ask("gateway", "ask", *named, "--address", self.address, "--json")
            self.found.note("asks for a prediction", answer["report"])
            if {one["churn"]["generation"] for one in answer["answers"]} == wanted:
                return f"the gateway says the same, and beside it what they spend, from generation {wanted.pop()}"
            if time.monotonic() > deadline:
                log = self.supervisor.log("gateway")
                raise NotReady(f"the gateway does not answer from generation {wanted.pop()} (log: {log})")

    def crash(self) -> str:
        """Kill the gateway while a client sends, start it again, and look for every acknowledged event."""
        acks, dice = self.home.root / "acknowledged.txt", random.Random()  # noqa: S311 - the moment of a crash
        arguments = (*self._players(500, 14, self.wishes.seed + 1), "--resend-rate", "0", "--acks", str(acks))
        at_kill = []
        with running(*arguments, environment=self.environment) as load:
            for _ in range(KILLS):
                before = _lines(acks)
                while load.poll() is None and _lines(acks) <= before:
                    time.sleep(0.02)
                time.sleep(dice.uniform(0.05, 0.5))
                self.supervisor.kill("gateway")
                at_kill.append(_lines(acks))
                if self.console.is_terminal:
                    self.console.line()  # the client's progress bar holds the line
                self.console.print(f"     killed with {at_kill[-1]:,} events acknowledged; starting it again")
                self.supervisor.start("gateway")
                self.supervisor.wait_ready("gateway")
            report = finish(load, arguments, timeout_s=180)
        self.found.note("simulated players during crashes (generated)", report)
        self.wait_for_rows()
        lost = self._lost(acks.read_text(encoding="utf-8").split())
        self.found.crash = {
            "acknowledged_at_kill": at_kill,
            "recovered": report["recovered"],
            "acknowledged_lost": lost,
        }
        return f"{_tell(report)}; acknowledged and lost: {lost}"

    def report(self) -> str:
        """Write `report.html` and `summary.json`."""
        (self.wishes.out / "summary.json").write_text(json.dumps(self.found.summary(), indent=2), encoding="utf-8")
        (self.wishes.out / "report.html").write_text(page_of(self.found), encoding="utf-8")
        return f"{self.wishes.out / 'report.html'} and {self.wishes.out / 'summary.json'}"

    def say(self, lines: Iterable[str]) -> None:
        """Print what a step found on the way."""
        for line in lines:
            self.console.print(f"     {line}")

    def ask(self, *arguments: str) -> Any:
        """Run a sub-command on this demo's stack and return the JSON that it printed."""
        return ask(*arguments, environment=self.environment)

    def warehouse(self) -> closing[Warehouse]:
        """Open this demo's warehouse for reading, to be closed at the end of a block."""
        return closing(open_warehouse(f"duckdb:{self.home.warehouse}"))

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how far a count has come."""
        columns = (TextColumn("     {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)

    def _players(self, players: int, days: int, seed: int) -> tuple[str, ...]:
        sizes = ("--players", str(players), "--days", str(days), "--seed", str(seed))
        end = ("--end", self.wishes.end) if self.wishes.end else ()
        return ("simulate", *sizes, *end, "--send", "--address", self.address, "--json")

    def _lost(self, acknowledged: list[str]) -> int:
        with self.warehouse() as warehouse:
            found = warehouse.query("SELECT event_id FROM telemetry.events")["event_id"].to_pylist()
        return len(set(acknowledged).difference(found))


def _count(warehouse: Warehouse, table: str) -> int:
    if table not in warehouse.tables():
        return 0
    return int(warehouse.query(f"SELECT COUNT(*) AS n FROM {table}")["n"][0].as_py())  # noqa: S608 - our own names


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _check(home: Path, wishes: Wishes) -> None:
    """Find out now what would end the demo after minutes."""
    for path in (Path(wish.partition("=")[0]) for wish in wishes.events):
        if not path.is_file():
            raise BadInput(f"there is no file {path} to import; name a GA4 export, or FILE=MAPPING for another log")
    for folder in (home, wishes.out):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"cannot make {folder} ({error.strerror}); set QUESTLINE_HOME and --out to folders of yours"
            ) from None


def _short(wish: str) -> str:
    """Name a file to import by its last folder and its name."""
    return "/".join(Path(wish.partition("=")[0]).parts[-2:])


def _tell(report: dict[str, Any]) -> str:
    parts = [f"{report['sent']:,} sent = {report['accepted']:,} accepted"]
    parts += [f"{report[name]:,} {name}" for name in ("duplicate", "rejected")]
    return " + ".join(parts)
