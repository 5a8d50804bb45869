"""`questline backfill`: make days anew from files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from questline_ingest.backfill import DayReport


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
    from questline_core.errors import BadInput
    from questline_ingest.backfill import gather
    from questline_ingest.imports.ga4 import Ga4Rows
    from questline_ingest.imports.mapping_file import load_mapping
    from questline_ingest.imports.run import Envelope
    from questline_ingest.settings import GatewaySettings

    settings = GatewaySettings.read(title=title)
    wanted = list(dict.fromkeys(day for text in days for day in _days(text)))
    mapped = load_mapping(mapping) if mapping else None
    named = title or (mapped.title if mapped else "") or settings.title
    found = gather(source, wanted, mapped or Ga4Rows(), envelope=Envelope(title=named))
    if found.broken and not skip_broken:
        raise BadInput(
            f"{found.broken:,} lines are no events, the first: {found.first_broken}; nothing was replaced, mend them "
            "or leave them out with --skip-broken"
        )
    reports = _replace(settings, wanted, found)
    if as_json:
        print(json.dumps({"broken": found.broken, "days": [asdict(report) for report in reports]}, default=str))
    else:
        print("\n".join(map(_told, reports)))


def _replace(settings: Any, wanted: Sequence[date], found: Any) -> list[DayReport]:
    from questline_core.events.schema import arrow_schema
    from questline_core.pb.telemetry_pb2 import Event
    from questline_core.privacy.forgotten import Forgotten
    from questline_core.privacy.key import open_key
    from questline_core.warehouse.port import EVENTS, open_warehouse
    from questline_ingest.backfill import replace_day

    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        warehouse.create(EVENTS, arrow_schema(Event))
        forgotten = Forgotten(warehouse, open_key(settings))
        return [replace_day(warehouse, forgotten, day, found.days[f"{day:%Y%m%d}"]) for day in wanted]


def _days(text: str) -> Iterator[date]:
    from questline_core.errors import BadInput

    first, _, last = text.partition("..")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise BadInput(f"{text!r} is no day; write YYYY-MM-DD, or FIRST..LAST") from None
    if end < begin:
        raise BadInput(f"{text!r} ends before it begins; write the earlier day first")
    yield from (begin + timedelta(days=number) for number in range((end - begin).days + 1))


def _told(report: DayReport) -> str:
    extras = [f"{report.copies:,} copies" if report.copies else "", f"{report.forgotten:,} of forgotten players"]
    left_out = ", ".join(part for part in extras if part and not part.startswith("0 "))
    said = f"{report.day}: {report.before:,} rows replaced by {report.rows:,}"
    return f"{said}{f' ({left_out} left out)' if left_out else ''}, content {report.content[:16]}"
