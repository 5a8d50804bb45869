"""Print the rows of a query: a table for people, exact JSON and CSV for programs."""

from __future__ import annotations

import base64
import csv
import json
import math
from collections.abc import Iterator
from datetime import date, datetime
from typing import IO, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

_CELL = 60
_COLUMN = 9
"""Fewer characters than this for each column, and rows are shown one below the other instead."""
_BATCH_ROWS = 10_000


def print_json(table: pa.Table, out: IO[str]) -> None:
    """Write one JSON array with a row on each line; whole numbers are exact, times are ISO 8601, records are nested."""
    out.write("[")
    for index, row in enumerate(_rows(table)):
        out.write((",\n" if index else "\n") + json.dumps(plain(row), ensure_ascii=False))
    out.write("\n]\n" if table.num_rows else "]\n")


def print_csv(table: pa.Table, out: IO[str]) -> None:
    """Write CSV with a header; NULL is empty, records and arrays are JSON."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in _rows(table):
        writer.writerow([_text(value, null="") for value in row.values()])


def print_table(table: pa.Table, console: Console, *, max_rows: int) -> None:
    """Show the first rows to a person, and say how many there are in all."""
    shown = table.slice(0, max_rows)
    if shown.num_columns * _COLUMN > console.width:
        _print_below(shown, console)
    else:
        _print_beside(shown, console)
    rest = f"; the first {shown.num_rows:,} are shown, --max-rows shows more" if shown.num_rows < table.num_rows else ""
    console.print(f"{table.num_rows:,} {'row' if table.num_rows == 1 else 'rows'}{rest}", style="dim", highlight=False)


def plain(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Turn a value of a row into what JSON can hold without a loss."""
    match value:
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case bytes():
            return base64.b64encode(value).decode()
        case None | bool() | int() | float() | str():
            return value
        case date():
            return value.isoformat()
        case _:
            return str(value)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        yield from batch.to_pylist()


def _text(value: Any, *, null: str) -> str:
    if value is None:
        return null
    simple = plain(value)
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)


def _cell(value: Any) -> Text:
    text = _text(value, null="NULL").replace("\n", "⏎")
    return Text(text if len(text) <= _CELL else text[: _CELL - 1] + "…", style="dim" if value is None else "")


def _print_beside(table: pa.Table, console: Console) -> None:
    view = Table(header_style="bold")
    for field in table.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        view.add_column(Text(field.name), justify="right" if number else "left", overflow="ellipsis", no_wrap=True)
    for row in table.to_pylist():
        view.add_row(*(_cell(value) for value in row.values()))
    console.print(view)


def _print_below(table: pa.Table, console: Console) -> None:
    for index, row in enumerate(table.to_pylist()):
        view = Table(title=f"row {index + 1}", title_justify="left", show_header=False)
        view.add_column(style="bold", no_wrap=True)
        view.add_column(overflow="ellipsis", no_wrap=True)
        for name, value in row.items():
            view.add_row(name, _cell(value))
        console.print(view)
