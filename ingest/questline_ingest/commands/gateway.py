"""`questline gateway`: run the gateway, or ask one as a game client would."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from questline_core.grpc_polling import let_grpc_poll
from questline_ingest.commands.load import AskFor

gateway = typer.Typer(help="Run the gateway, or ask it something.", no_args_is_help=True, add_completion=False)


@gateway.command()
def serve(
    listen: Annotated[str | None, typer.Option(help="host:port to bind; default QUESTLINE_LISTEN.")] = None,
) -> None:
    """Take telemetry from game clients and answer with predictions, until SIGTERM or Ctrl-C."""
    let_grpc_poll()

    from questline_ingest.settings import GatewaySettings
    from questline_ingest.workers import run

    run(GatewaySettings.read(listen=listen))


@gateway.command()
def follow(
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks at the warehouse.")] = 60,
) -> None:
    """Keep the players' features beside a gateway up to date with a warehouse that a stream elsewhere writes."""
    from questline_core.logs import configure_logs
    from questline_ingest.following import follow as keep_up
    from questline_ingest.settings import GatewaySettings

    configure_logs("features")
    keep_up(GatewaySettings.read(), every_s=every)


@gateway.command()
def ask(  # noqa: PLR0913 - each is an option of the command line
    player: Annotated[list[str], typer.Option(help="Player to ask about; may be given more than once.")],
    predict: Annotated[list[AskFor], typer.Option(help="Model to ask; may be given twice.")] = [*AskFor],  # noqa: B006
    event_name: Annotated[str, typer.Option(help="Name of the event that is sent for each player.")] = "session_start",
    address: Annotated[str | None, typer.Option(help="host:port of the gateway; default QUESTLINE_LISTEN.")] = None,
    *,
    real: Annotated[bool, typer.Option("--real", help="Do not mark the events as a test.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send one event for each player and print what the gateway answers: outcome, predictions, latency.

    Ends with exit code 1 when an event was rejected.
    """
    from questline_ingest.asking import as_line, ask_about
    from questline_ingest.calling import CallerSettings

    caller = CallerSettings.read(listen=address)
    answers, report = ask_about(caller, player, predict, event_name=event_name, is_test=not real)
    if as_json:
        print(json.dumps({"answers": answers, "report": asdict(report)}))
    else:
        print("\n".join(map(as_line, answers)))
    if report.rejected:
        raise typer.Exit(1)
