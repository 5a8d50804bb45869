"""`questline backfill`: make days anew from files."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.events.remake import DayReport


def backfill(  # noqa: PLR0913 - each is an option of the command
    days: Annotated[list[str], typer.Argument(help="Days, YYYY-MM-DD, or FIRST..LAST.")],
    source: Annotated[
        list[str],
        typer.Option("--from", help="File or URL of the archive: NDJSON (.gz) or a subscription's .avro; * is known."),
    ],
    *,
    mapping: Annotated[
        str | None, typer.Option(help="Mapping file, or `waves`; without it lines are rows of a GA4 export.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title for events without one; default QUESTLINE_TITLE.")] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out what is no event; otherwise nothing is replaced then.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Put the events of files in place of whole days of telemetry.events; done twice, it gives the same rows.

    Each day is replaced in one step. The files must hold all that came for the day, late events too.
    """
    from questline_core.events.archive import gather
    from questline_core.events.days import days_named
    from questline_core.events.remake import Gathered, replace_days
    from questline_ingest.backfill import Exported
    from questline_ingest.imports.ga4 import Ga4Rows
    from questline_ingest.imports.mapping_file import load_mapping
    from questline_ingest.imports.run import Envelope
    from questline_ingest.settings import GatewaySettings

    settings = GatewaySettings.read(title=title)
    wanted = Gathered.of(days_named(" ".join(days)))
    mapped = load_mapping(mapping) if mapping else None
    named = title or (mapped.title if mapped else "") or settings.title
    exported = Exported(rows=mapped or Ga4Rows(), envelope=Envelope(title=named))
    found = gather(source, wanted, title=named, read=exported.read)
    reports = replace_days(settings, found, skip_broken=skip_broken)
    if as_json:
        print(json.dumps({"broken": found.broken, "days": [asdict(report) for report in reports]}, default=str))
    else:
        print("\n".join(map(_told, reports)))


def _told(report: DayReport) -> str:
    extras = [f"{report.copies:,} copies" if report.copies else "", f"{report.forgotten:,} of forgotten players"]
    left_out = ", ".join(part for part in extras if part and not part.startswith("0 "))
    said = f"{report.day}: {report.before:,} rows replaced by {report.rows:,}"
    return f"{said}{f' ({left_out} left out)' if left_out else ''}, content {report.content[:16]}"
