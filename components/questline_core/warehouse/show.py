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
from rich.table import Column, Table
from rich.text import Text

_NARROW = 12
"""When text would be cut to fewer characters than this, rows are shown one below the other instead."""
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
    texts = [[_text(value, null="NULL").replace("\n", "⏎") for value in row.values()] for row in shown.to_pylist()]
    numbers = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in table.schema]
    widths = _widths([table.column_names, *texts], numbers, console.width)
    if widths:
        console.print(_beside(table.column_names, texts, numbers, widths))
    else:
        for index, row in enumerate(texts):
            console.print(_below(table.column_names, row, index, console.width))
    rest = f"; the first {shown.num_rows:,} are shown, --max-rows shows more" if shown.num_rows < table.num_rows else ""
    console.print(f"{table.num_rows:,} {'row' if table.num_rows == 1 else 'rows'}{rest}", style="dim", highlight=False)


def print_tables(listing: pa.Table, console: Console) -> None:
    """Show a person which tables there are."""
    if not listing.num_rows:
        console.print(
            "The warehouse has no tables yet; `questline import-table DATASET.TABLE FILE` makes one.", highlight=False
        )
        return
    view = Table("table", Column("rows", justify="right"), Column("columns", overflow="fold"), header_style="bold")
    for row in listing.to_pylist():
        names = ", ".join(column.partition(" ")[0] for column in row["columns"])
        view.add_row(Text(row["table"], no_wrap=True), Text(f"{row['rows']:,}", no_wrap=True), Text(names))
    console.print(view)


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


def _widths(lines: list[list[str]], numbers: list[bool], console_width: int) -> list[int] | None:
    """Share the width among the columns; None when text would get less than `_NARROW` characters.

    A number is never cut: it would look like another number.
    """
    natural = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = console_width - 3 * len(natural) - 1
    fixed = sum(width for width, number in zip(natural, numbers, strict=True) if number)
    text = sorted(width for width, number in zip(natural, numbers, strict=True) if not number)
    room -= fixed
    cap = room
    for index, width in enumerate(text):
        cap = room // (len(text) - index)
        if width > cap:
            break
        room -= width
    if room < 0 or (text and text[-1] > cap and cap < _NARROW):
        return None
    return [width if number else min(width, max(cap, _NARROW)) for width, number in zip(natural, numbers, strict=True)]


def _cut(text: str, width: int) -> Text:
    style = "dim" if text == "NULL" else ""
    return Text(text if len(text) <= width else text[: width - 1] + "…", style=style)


def _beside(names: list[str], texts: list[list[str]], numbers: list[bool], widths: list[int]) -> Table:
    view = Table(header_style="bold")
    for name, number, width in zip(names, numbers, widths, strict=True):
        view.add_column(_cut(name, width), justify="right" if number else "left", no_wrap=True)
    for row in texts:
        view.add_row(*(_cut(text, width) for text, width in zip(row, widths, strict=True)))
    return view


def _below(names: list[str], row: list[str], index: int, console_width: int) -> Table:
    width = max(console_width - max(map(len, names)) - 7, _NARROW)
    view = Table(title=f"row {index + 1}", title_justify="left", show_header=False)
    view.add_column(style="bold", no_wrap=True)
    view.add_column(no_wrap=True)
    for name, text in zip(names, row, strict=True):
        view.add_row(Text(name), _cut(text, width))
    return view
