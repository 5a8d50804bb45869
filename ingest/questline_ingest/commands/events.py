"""`questline events`: import events from files, and show the event contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_ingest.imports.run import ImportReport

events = typer.Typer(help="Import events, or show their contract.", no_args_is_help=True, add_completion=False)


class Format(StrEnum):
    """Forms in which a table's columns can be shown."""

    BIGQUERY = "bigquery"
    PUBSUB = "pubsub"
    ARROW = "arrow"
    MARKDOWN = "markdown"


class TableName(StrEnum):
    """Tables whose columns are derived from a message."""

    EVENTS = "events"
    REJECTS = "rejects"
    PREDICTIONS = "predictions"


@events.command("import")
def import_(  # noqa: PLR0913 - each is an option of the command
    file: Annotated[Path, typer.Argument(help="NDJSON: one JSON object a line.")],
    mapping: Annotated[
        str | None, typer.Option(help="Mapping file, or `waves`; without it lines are rows of a GA4 export.")
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title for events that bring none; default QUESTLINE_TITLE.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="host:port of the gateway; default QUESTLINE_LISTEN.")] = None,
    *,
    test: Annotated[
        bool, typer.Option("--test", help="Mark the events as a test: stored, never learned from.")
    ] = False,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out columns that the contract does not know.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Send the events of a file through the gateway; a second import of a file adds no event.

    Ends with exit code 1 when a line could not be read or an event was rejected; the others are stored all the same.
    """
    from questline_ingest.calling import CallerSettings
    from questline_ingest.client import Client
    from questline_ingest.imports.ga4 import Ga4Rows
    from questline_ingest.imports.lines import opened
    from questline_ingest.imports.mapping_file import load_mapping
    from questline_ingest.imports.run import Envelope, import_file

    settings = CallerSettings.read(listen=address, title=title)
    client = Client(settings.listen, access=settings.access, connect_timeout_s=3)
    ga4 = Ga4Rows(skip_unknown=skip_unknown)
    mapped = load_mapping(mapping) if mapping else None
    envelope = Envelope(title=title or (mapped.title if mapped else ""), is_test=test)
    with opened(file), client, _progress(file) as on_progress:
        report = import_file(file, mapped or ga4, client, envelope=envelope, on_progress=on_progress)
    print(_as_json(report, ga4.skipped) if as_json else _as_text(report, ga4.skipped))
    if not report.complete:
        raise typer.Exit(1)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of a file was read, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    parts = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        yield lambda done: progress.update(task, completed=done)


def _as_json(report: ImportReport, skipped: set[str]) -> str:
    from dataclasses import asdict

    return json.dumps({**asdict(report), "skipped_columns": sorted(skipped)}, default=str)


def _as_text(report: ImportReport, skipped: set[str]) -> str:
    counts = ("sent", "accepted", "duplicate", "rejected", "unreadable")
    said = [" / ".join(f"{getattr(report, name):,} {name}" for name in counts)]
    if report.rejected:
        said.append(f"rejected events are kept in telemetry.rejects; the first one: {report.first_rejected}")
    if report.unreadable:
        said.append(f"unreadable lines are kept in {report.kept_in}; the first one: {report.first_unreadable}")
    if skipped:
        said.append(f"columns left out: {', '.join(sorted(skipped))}")
    return "\n".join(said)


@events.command()
def schema(
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.MARKDOWN,
    table: Annotated[TableName, typer.Option(help="Which table; the Markdown page shows all.")] = TableName.EVENTS,
) -> None:
    """Show the event contract: the page docs/events.md, BigQuery's JSON, Pub/Sub's schema, or the Arrow schema."""
    from questline_core.events.reference import reference_page
    from questline_core.events.registered import registered_schema
    from questline_core.events.schema import TABLES, arrow_schema, bigquery_schema

    if form is Format.MARKDOWN:
        print(reference_page(), end="")
    elif form is Format.BIGQUERY:
        print(json.dumps(bigquery_schema(TABLES[table]), indent=2))
    elif form is Format.PUBSUB:
        print(registered_schema(), end="")
    else:
        print(arrow_schema(TABLES[table]).to_string(truncate_metadata=False))
