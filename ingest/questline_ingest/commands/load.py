"""`questline load`: play many game clients at a rate, and tell what the gateway did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from questline_ingest.load.record import Record


class AskFor(StrEnum):
    """Models that a load can ask."""

    spend = "spend"
    churn = "churn"


def load(  # noqa: PLR0913 - each is an option of the command line
    *,
    rate: Annotated[float, typer.Option(help="Calls a second, kept whatever the gateway does.")] = 100.0,
    ramp_to: Annotated[float | None, typer.Option(help="Rise or fall evenly to this many calls a second.")] = None,
    duration: Annotated[float, typer.Option(help="Seconds; at most an hour.")] = 10.0,
    max_calls: Annotated[int, typer.Option(help="Stop after so many calls.")] = 1_000_000,
    batch: Annotated[int, typer.Option(min=1, max=5_000, help="Events in a call.")] = 1,
    stream: Annotated[bool, typer.Option("--stream", help="Send all over one stream in each process.")] = False,
    http: Annotated[bool, typer.Option("--http", help="Send JSON to the HTTP door, which --address names.")] = False,
    predict: Annotated[
        list[AskFor] | None, typer.Option(help="Ask this model with every event; may be given twice.")
    ] = None,
    players: Annotated[int, typer.Option(min=1, help="Simulated players whose events are sent.")] = 500,
    replay: Annotated[
        Path | None, typer.Option(help="Send the events of this GA4 export (NDJSON) instead, over and over.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses the simulated players.")] = 1,
    title: Annotated[str | None, typer.Option(help="The game's title.", show_default="QUESTLINE_TITLE")] = None,
    real: Annotated[
        bool, typer.Option("--real", help="Do not mark the events as a test: models will learn them.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="host:port of the gateway.", show_default="QUESTLINE_LISTEN or 127.0.0.1:7777")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=20_000, help="Most calls without an answer.")] = 2_000,
    timeout: Annotated[float, typer.Option(min=0.01, max=60, help="Seconds a call may take.")] = 10.0,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the rate.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw the run into this HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for another program.")] = False,
) -> None:
    """Send generated or recorded events at a constant rate or a ramp, and tell rate, latency and outcomes.

    Latency counts from when a call was due, so a gateway that stalls cannot hide it. Events are marked as a test and no
    model learns from them. The run ends by itself: after its duration, and at most one time-out more; with exit code 1
    when an event was rejected.
    """
    from rich.console import Console

    from questline_ingest.calling import CallerSettings
    from questline_ingest.load.job import Job, run_job
    from questline_ingest.load.plan import Plan
    from questline_ingest.load.source import Marks, from_file, from_players
    from questline_ingest.pb import ingest_pb2 as pb

    settings = CallerSettings.read(listen=address)
    job = Job(
        plan=Plan(calls_per_s=rate, ramp_to_per_s=ramp_to, duration_s=duration, max_calls=max_calls),
        pool=from_file(replay) if replay else from_players(players, seed=seed),
        marks=Marks(title=title or settings.title, is_test=not real),
        per_call=batch,
        address=settings.listen,
        access=settings.access,
        predict=[pb.Model.Value(model.upper()) for model in predict or ()],
        in_flight=in_flight,
        timeout_s=timeout,
        door=_door(stream=stream, http=http),
    )
    with Console(stderr=True).status(f"{job.plan.calls:,} calls over {duration:g} s to {job.address}"):
        record = run_job(job, processes=processes)
    _tell(record, {"address": job.address, "generated": replay is None}, plot=plot, as_json=as_json)


def _tell(record: Record, about: Mapping[str, object], *, plot: Path | None, as_json: bool) -> None:
    """Draw and print what a run found, for a person or a program.

    Raises:
        BadInput: events were rejected.
    """
    from rich.console import Console

    from questline_ingest.load.report import facts, show
    from questline_ingest.rejections import refuse

    if plot:
        from questline_ingest.load.plot import draw

        draw(record, plot, heading=f"{record.calls:,} calls to {about['address']}")
    found = {**facts(record), **about}
    if as_json:
        print(json.dumps(found))
    else:
        show(found, Console())
    refuse(record.outcomes["rejected"], record.why_rejected)


def _door(*, stream: bool, http: bool) -> Literal["grpc", "stream", "http"]:
    from questline_core.errors import BadInput

    if stream and http:
        raise BadInput("a load goes over --stream or over --http; give one of them")
    return "stream" if stream else "http" if http else "grpc"
