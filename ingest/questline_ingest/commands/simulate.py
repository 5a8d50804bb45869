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
    from questline_ingest.simulate import World

DAY_FORMAT = ["%Y-%m-%d"]
PROGRESS_EVENTS = 1_000
"""The bar moves every so many events."""


def simulate(  # noqa: PLR0913 - each is an option of the command line
    *,
    players: Annotated[int, typer.Option(help="Players who are seen at least once.")] = 2_000,
    days: Annotated[int, typer.Option(help="Days of history.")] = 28,
    seed: Annotated[int, typer.Option(help="Chooses one of the possible histories.")] = 1,
    start: Annotated[datetime | None, typer.Option(formats=DAY_FORMAT, help="First day, instead of --end.")] = None,
    end: Annotated[
        datetime | None,
        typer.Option(formats=DAY_FORMAT, help="Day at whose 00:00 UTC the history ends.", show_default="today"),
    ] = None,
    title: Annotated[str, typer.Option(help="The game's title.")] = "flood",
    resend_rate: Annotated[float, typer.Option(help="Share of events that the client sends twice.")] = 0.01,
    invalid_rate: Annotated[float, typer.Option(help="Share of events to add that break the contract.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="Write a GA4 export (NDJSON) here.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Send the events through the gateway.")] = False,
    address: Annotated[
        str | None, typer.Option(help="Gateway to send to.", show_default="QUESTLINE_LISTEN or 127.0.0.1:7777")
    ] = None,
    acks: Annotated[Path | None, typer.Option(help="With --send: append the ids of durable events here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False,
) -> None:
    """Generate players' histories that look like the published ones; every event says origin = "generated".

    With neither --out nor --send nothing leaves: the figures of the history are shown beside the published ones.
    """
    from questline_ingest.simulate import World

    world = World(
        start=_first_day(start, end, days),
        days=days,
        players=players,
        seed=seed,
        title=title,
        resend_rate=resend_rate,
        invalid_rate=invalid_rate,
    )
    done: dict[str, Any] = {"generated": True, "world": asdict(world)}
    if out:
        done |= _write(world, out)
    if send:
        done |= _send(world, address, acks)
    if not (out or send):
        done |= _summarise(world)
    print(json.dumps(done, default=str) if as_json else _told(done))


def _first_day(start: datetime | None, end: datetime | None, days: int) -> date:
    from questline_core.errors import BadInput

    if start and end:
        raise BadInput("--start and --end are both given; give one of them, and --days")
    try:
        return start.date() if start else (end or datetime.now(UTC)).date() - timedelta(days=days)
    except OverflowError:
        raise BadInput(f"days is {days}; the history would begin before the year 1") from None


def _write(world: World, out: Path) -> dict[str, Any]:
    from questline_ingest.simulate.export import write

    with _history(world, "writing") as events:
        return {"file": str(out), "written": write(events, out)}


def _send(world: World, address: str | None, acks: Path | None) -> dict[str, Any]:
    from questline_ingest.client import Client
    from questline_ingest.settings import GatewaySettings

    settings = GatewaySettings.read(listen=address)
    with _noting(acks) as note, Client(settings.listen) as client, _history(world, "sending") as events:
        return asdict(client.send_all(events, on_answers=note))


def _summarise(world: World) -> dict[str, Any]:
    from questline_ingest.simulate import summarise

    with _history(world, "generating") as events:
        return asdict(summarise(events))


@contextmanager
def _history(world: World, doing: str) -> Iterator[Iterable[Event]]:
    """Give the events of a world, and show on a terminal how far through its days they are."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from questline_ingest.simulate import simulate as generate

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        begin = world.midnight(0)
        task = progress.add_task(f"{doing} generated events", total=world.end - begin)

        def watched() -> Iterator[Event]:
            for number, event in enumerate(generate(world)):
                if number % PROGRESS_EVENTS == 0:
                    progress.update(task, completed=event.event_timestamp - begin)
                yield event

        yield watched()


@contextmanager
def _noting(acks: Path | None) -> Iterator[OnAnswers | None]:
    """Append the id of each event to a file as soon as the gateway says that it is durable.

    Raises:
        BadInput: the file cannot be written.
    """
    from questline_core.errors import BadInput
    from questline_ingest.pb import ingest_pb2 as pb

    if acks is None:
        yield None
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


def _told(done: dict[str, Any]) -> str:
    """Tell a person what was made and where it went."""
    world = done["world"]
    lines = [f"generated: {world['players']:,} players over {world['days']} days from {world['start']}"]
    if "file" in done:
        lines.append(f"written: {done['written']:,} generated events to {done['file']}")
    if "sent" in done:
        counts = " + ".join(f"{done[name]:,} {name}" for name in ("accepted", "duplicate", "rejected"))
        lines.append(f"sent: {done['sent']:,} generated events = {counts}")
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
