"""The commands `questline sql` and `questline import-table`."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings

if TYPE_CHECKING:
    from questline_core.warehouse.port import Estimate


class OutputFormat(StrEnum):
    """How `questline sql` prints rows."""

    table = "table"
    json = "json"
    csv = "csv"


def sql(  # noqa: PLR0913 - each is an option of the command
    query: Annotated[str | None, typer.Argument(help="A GoogleSQL query; without one, all tables are listed.")] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Read the query from this file.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="A value for @NAME, as NAME=VALUE: a number, true, a date, a time with zone, a JSON list, text."
        ),
    ] = None,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="For people, or exact for programs.")
    ] = OutputFormat.table,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to print; a table shows 50, json and csv all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what the query would read and cost, and do not run it.")
    ] = False,
) -> None:
    """Ask the warehouse in GoogleSQL, such as "SELECT COUNT(*) FROM telemetry.events"."""
    from questline_core.warehouse.port import open_warehouse

    text = _query_text(query, file)
    with closing(open_warehouse(PlatformSettings.read_existing().warehouse_url)) as warehouse:
        if text is None:
            from questline_core.warehouse.listing import list_tables

            found = list_tables(warehouse)
        else:
            values = dict(map(read_parameter, param or []))
            if dry_run:
                print(_estimate_text(warehouse.estimate(text, **values)))
                return
            found = warehouse.query(text, **values)
    _print(found, output, max_rows, tables=text is None)


def import_table(
    table: Annotated[str, typer.Argument(help="DATASET.TABLE; made when it is not there.")],
    file: Annotated[
        str,
        typer.Argument(
            help="A file named .csv, .ndjson, .jsonl or .parquet; the first three also with .gz. Or a URL of one, such"
            " as gs://BUCKET/FILE.parquet."
        ),
    ],
    *,
    schema: Annotated[
        Path | None, typer.Option(help="BigQuery's table schema as JSON; otherwise types are inferred.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put the rows in place of the table's content.")] = False,
) -> None:
    """Load a file into a table of the warehouse: all of its rows or, if one cannot be read, none."""
    from rich.console import Console

    from questline_core.warehouse.load import load_source
    from questline_core.warehouse.port import open_warehouse

    with (
        closing(open_warehouse(PlatformSettings.read().warehouse_url)) as warehouse,
        Console(stderr=True).status(f"reading {file}") as status,
    ):
        rows = load_source(warehouse, table, file, schema=schema, replace=replace, tell=status.update)
    print(f"{rows:,} rows loaded into {table}")


def read_parameter(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value's form tells its type, and quotes make it text: `id="5"`.

    Raises:
        BadInput: there is no name, or the value is a JSON object.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise BadInput(f"--param {text!r} is not of the form NAME=VALUE")
    for read in (json.loads, date.fromisoformat, datetime.fromisoformat):
        try:
            found = read(value)
        except ValueError:
            continue
        if isinstance(found, dict):
            raise BadInput(f"--param {name} is a JSON object; only single values and lists can be given")
        return name, found
    return name, value


def _estimate_text(estimate: Estimate) -> str:
    return f"reads at most {estimate.bytes_read:,} bytes and costs about ${estimate.usd:.4f} ({estimate.basis})"


def _query_text(query: str | None, file: Path | None) -> str | None:
    if query is not None and file is not None:
        raise BadInput("give a query or --file, not both")
    if file is None:
        return query
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {file}: {error}") from None


def _print(found: Any, output: OutputFormat, max_rows: int | None, *, tables: bool) -> None:
    from questline_core.warehouse import show

    if not found.column_names:  # a statement that gives no rows
        print("done", file=sys.stderr)
        return
    if output is OutputFormat.table:
        from rich.console import Console

        if tables:
            show.print_tables(found, Console())
        else:
            show.print_table(found, Console(), max_rows=max_rows or 50)
        return
    write = show.print_json if output is OutputFormat.json else show.print_csv
    write(found if max_rows is None else found.slice(0, max_rows), sys.stdout)
