"""`questline simulate`: generated players, into a file or through the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from questline_core.pb.telemetry_pb2 import Event
    from questline_ingest.client import OnAnswers
    from questline_ingest.simulate import Days, World

PLAYERS, DAYS = 2_000, 28
CHECK_PLAYERS, CHECK_DAYS = 3_000, 114
"""The published figures are those of 114 days."""
TRUTH_HORIZON_HOURS = 24
DAY_FORMAT = ["%Y-%m-%d"]
PROGRESS_EVENTS = 1_000
"""The bar moves every so many events."""


def simulate(  # noqa: PLR0913 - each is an option of the command line
    *,
    players: Annotated[
        int | None, typer.Option(help="Players who are seen at least once.", show_default="2000; with --check 3000")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Days of history.", show_default="28; with --check 114")] = None,
    seed: Annotated[int, typer.Option(help="Chooses one of the possible histories.")] = 1,
    start: Annotated[datetime | None, typer.Option(formats=DAY_FORMAT, help="First day, instead of --end.")] = None,
    end: Annotated[
        datetime | None,
        typer.Option(formats=DAY_FORMAT, help="Day at whose 00:00 UTC the history ends.", show_default="today"),
    ] = None,
    title: Annotated[str, typer.Option(help="The game's title.")] = "flood",
    resend_rate: Annotated[float, typer.Option(help="Share of events that the client sends twice.")] = 0.01,
    invalid_rate: Annotated[float, typer.Option(help="Share of events to add that break the contract.")] = 0.0,
    late_rate: Annotated[float, typer.Option(help="Share of sittings that arrive up to 72 hours late.")] = 0.0,
    scenario: Annotated[
        str | None, typer.Option(help="What changes: new-level, price-change or bot-wave.", show_default="nothing")
    ] = None,
    scenario_from: Annotated[datetime | None, typer.Option(formats=DAY_FORMAT, help="First day of it.")] = None,
    day: Annotated[datetime | None, typer.Option(formats=DAY_FORMAT, help="Only what arrives on this day.")] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=DAY_FORMAT, help="Only what arrives from this day on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=DAY_FORMAT, help="Only what arrives until this day, included.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Hold the history against the published figures.")] = False,
    truth: Annotated[
        Path | None, typer.Option(help="Write the true chances of the players, and the ceiling, into this folder.")
    ] = None,
    draws: Annotated[int, typer.Option(min=2, help="With --truth: futures of each moment.")] = 50,
    out: Annotated[Path | None, typer.Option(help="Write a GA4 export (NDJSON) here.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send the events through the gateway.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Gateway to send to.", show_default="QUESTLINE_LISTEN or 127.0.0.1:7777")
    ] = None,
    acks: Annotated[Path | None, typer.Option(help="With --send: append the ids of durable events here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False,
) -> None:
    """Generate players' histories that look like the published ones; every event says origin = "generated".

    With neither --out nor --send nothing leaves: the figures of the history are shown beside the published ones, and
    with --check judged (exit code 1 when one is missed). --day, or --from and --to, give the part of a world that
    arrives on these days (UTC); they may lie after its last day, the same players go on. When an event is rejected that
    --invalid-rate did not break, the exit code is 1.
    """
    from questline_ingest.simulate import World

    days = (CHECK_DAYS if check else DAYS) if days is None else days
    world = World(
        start=_first_day(start, end, days),
        days=days,
        players=(CHECK_PLAYERS if check else PLAYERS) if players is None else players,
        seed=seed,
        title=title,
        resend_rate=resend_rate,
        invalid_rate=invalid_rate,
        late_rate=late_rate,
        scenario=scenario,
        scenario_from=scenario_from.date() if scenario_from else None,
    )
    made: dict[str, Any] = {"generated": True, "world": asdict(world)}
    window = _window(day, since, until)
    if out:
        made |= _write(world, window, out)
    if send:
        made |= _send(world, window, address, acks)
    if truth:
        made |= _truth(world, truth, draws)
    if check:
        made |= _check(world)
    if not (out or send or truth or check):
        made |= _summarise(world, window)
    _tell(made, as_json=as_json)


def _window(day: datetime | None, since: datetime | None, until: datetime | None) -> Days | None:
    from questline_core.errors import BadInput
    from questline_ingest.simulate import Days

    if day:
        since = until = day
    if since is None and until is None:
        return None
    if since is None or until is None or until < since:
        raise BadInput("the days of arrival are not clear; give --day, or --from and --to, the earlier one first")
    return Days(since.date(), until.date())


def _first_day(start: datetime | None, end: datetime | None, days: int) -> date:
    from questline_core.errors import BadInput

    if start and end:
        raise BadInput("--start and --end are both given; give one of them, and --days")
    try:
        return start.date() if start else (end or datetime.now(UTC)).date() - timedelta(days=days)
    except OverflowError:
        raise BadInput(f"days is {days}; the history would begin before the year 1") from None


def _write(world: World, window: Days | None, out: Path) -> dict[str, Any]:
    from questline_ingest.simulate.export import write

    with _history(world, window, "writing") as events:
        return {"file": str(out), "written": write(events, out)}


def _send(world: World, window: Days | None, address: str | None, acks: Path | None) -> dict[str, Any]:
    from questline_ingest.calling import CallerSettings
    from questline_ingest.client import Client
    from questline_ingest.rejections import Rejections
    from questline_ingest.simulate.broken import is_broken

    settings = CallerSettings.read(listen=address)
    client = Client(settings.listen, access=settings.access)
    rejections = Rejections(is_broken)
    with _noting(acks) as note, client, _history(world, window, "sending") as events:

        def noted(*answered: Any) -> None:
            rejections.note(*answered)
            note(*answered)

        report = client.send_all(events, on_answers=noted)
    return asdict(report) | {"unexpected_rejects": rejections.count, "first_unexpected": rejections.first}


def _summarise(world: World, window: Days | None) -> dict[str, Any]:
    from questline_ingest.simulate import summarise

    with _history(world, window, "generating") as events:
        return asdict(summarise(events))


def _check(world: World) -> dict[str, Any]:
    from questline_ingest.simulate import summarise
    from questline_ingest.simulate.targets import targets

    with _history(world, None, "checking") as events:
        found = targets(summarise(events))
    return {
        "targets": [asdict(target) | {"met": target.met} for target in found],
        "met": all(target.met for target in found),
    }


def _truth(world: World, folder: Path, draws: int) -> dict[str, Any]:
    from questline_ingest.simulate.truth import save, truths

    facts = {"generated": True, "world": asdict(world), "horizon_hours": TRUTH_HORIZON_HOURS, "draws": draws}
    found = truths(world, horizon_hours=TRUTH_HORIZON_HOURS, draws=draws)
    return {"truth": str(folder), "ceiling": save(found, folder, facts)["ceiling"]}


@contextmanager
def _history(world: World, window: Days | None, doing: str) -> Iterator[Iterable[Event]]:
    """Give the events of a world, and show on a terminal how far through its days they are."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from questline_ingest.simulate import simulate as generate

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        begin, end = (window.begin, window.end) if window else (world.midnight(0), world.end)
        task = progress.add_task(f"{doing} generated events", total=end - begin)

        def watched() -> Iterator[Event]:
            for number, event in enumerate(generate(world, window)):
                if number % PROGRESS_EVENTS == 0:
                    progress.update(task, completed=event.event_timestamp - begin)
                yield event

        yield watched()


@contextmanager
def _noting(acks: Path | None) -> Iterator[OnAnswers]:
    """Append the id of each event to a file as soon as the gateway says that it is durable.

    Raises:
        BadInput: the file cannot be written.
    """
    from questline_core.errors import BadInput
    from questline_ingest.pb import ingest_pb2 as pb

    if acks is None:
        yield lambda *_: None
        return
    try:
        file = acks.open("a", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {acks} ({error.strerror}); choose another --acks") from None

    def note(events: Sequence[Event], answers: Sequence[pb.Answer], _attempt: int) -> None:
        durable = (pb.ACCEPTED, pb.DUPLICATE)
        pairs = zip(events, answers, strict=True)
        file.writelines(f"{event.event_id}\n" for event, answer in pairs if answer.outcome in durable)
        file.flush()

    with file:
        yield note


def _tell(done: dict[str, Any], *, as_json: bool) -> None:
    """Tell a person or a program what was made, where it went, and what was judged; a figure that is missed fails.

    Raises:
        BadInput: events were rejected that were not made for it.
    """
    if as_json:
        print(json.dumps(done, default=str))
    else:
        print(_told(done))
        if "targets" in done:
            _show_targets(done["targets"])
    if done.get("unexpected_rejects"):
        from questline_ingest.rejections import refuse

        refuse(done["unexpected_rejects"], done["first_unexpected"])
    if not done.get("met", True):
        raise typer.Exit(1)


def _show_targets(found: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("target", "published", "generated", "tolerance", "")
    for one in found:
        tolerance = f"{one['least']:.4g} to {one['most']:.4g}"
        verdict = "[green]pass[/]" if one["met"] else "[red]fail[/]"
        table.add_row(one["what"], f"{one['published']:.4g}", f"{one['generated']:.4g}", tolerance, verdict)
    console = Console()
    console.print(table)
    console.print(f"{sum(one['met'] for one in found)} of {len(found)} targets met")


def _told(done: dict[str, Any]) -> str:
    """Tell what was made and where it went, in lines of text."""
    world = done["world"]
    lines = [f"generated: {world['players']:,} players over {world['days']} days from {world['start']}"]
    if "file" in done:
        lines.append(f"written: {done['written']:,} generated events to {done['file']}")
    if "sent" in done:
        counts = " + ".join(f"{done[name]:,} {name}" for name in ("accepted", "duplicate", "rejected"))
        lines.append(f"sent: {done['sent']:,} generated events = {counts}")
    if "truth" in done:
        lines.append(f"true chances: {done['truth']}/truth.json, spend_truth.parquet, churn_truth.parquet; at best:")
        lines += [
            f"  {what}: ROC AUC {one['roc_auc']:.3f}, log loss {one['log_loss']:.4f}, {one['examples']:,} examples"
            for what, one in done["ceiling"].items()
        ]
    if "shares" in done:
        lines += _figures(done)
    return "\n".join(lines)


def _figures(done: dict[str, Any]) -> list[str]:
    from questline_ingest.simulate import published

    def compare(what: str, here: float, there: float) -> str:
        return f"  {what:<28}{here:>10.2%}{there:>12.2%}"

    middle, most = (done["events_per_player"][q] for q in (50, 90))
    return [
        "nothing was written or sent; --out FILE or --send does that",
        f"{done['events']:,} events, {done['spends']:,} spends, {done['resent']:,} events sent a second time",
        f"events a player: {middle} (p50), {most} (p90); published: 52, 521 of 114 days",
        f"  {'':<28}{'generated':>10}{'published':>12}",
        compare("players who spend", done["spenders"] / done["players"], published.SPENDERS / published.PLAYERS),
        compare("seen on one day only", done["one_day_share"], published.ONE_DAY_SHARE),
        *(compare(f"back on day {n}", back, published.RETENTION[n]) for n, back in done["retention"].items()),
        *(compare(name, done["shares"].get(name, 0), published.share(name)) for name in published.EVENT_COUNTS),
    ]
