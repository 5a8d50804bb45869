"""Read a CSV file with a header into typed rows; an empty field is NULL, an empty one in quotes is empty text."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name
from questline_core.warehouse.engine import define_macros, hide_progress
from questline_core.warehouse.schemas import UTC_MICROS

Column: TypeAlias = "pa.ChunkedArray[Any]"
_DATE = r"\d{4}-\d{1,2}-\d{1,2}"
_READ: Mapping[pa.DataType, str] = {
    pa.string(): "x",
    pa.int64(): "gsql_safe_int64(x)",
    pa.float64(): "gsql_safe_float64(x)",
    pa.bool_(): "gsql_safe_bool(x)",
    pa.date32(): f"CASE WHEN regexp_full_match(x, '{_DATE}') THEN TRY_CAST(x AS DATE) END",
    UTC_MICROS: f"CASE WHEN regexp_full_match(x, '{_DATE}([ T].*)?') THEN TRY_CAST(x AS TIMESTAMPTZ) END",
    pa.timestamp("us"): f"CASE WHEN regexp_full_match(x, '{_DATE}([ T].*)?') THEN TRY_CAST(x AS TIMESTAMP) END",
    pa.binary(): "TRY(from_base64(x))",
}
_WHOLE = r"^-?\d+$"
_WITH_ZEROS = r"^-?0\d"
_TIME = r"^\d{4}-\d{1,2}-\d{1,2}[ T]"


def read_csv(file: Path, wanted: pa.Schema | None, tell: Callable[[str], None]) -> pa.Table:
    """Read all rows; the types are the wanted ones, or those that fit every value of a column.

    Raises:
        BadInput: a line has too few or too many fields, or a value is not of its column's type; names the line.
    """
    tell(f"reading {file.name}")
    raw = _read_text(file)
    known = {field.name: field.type for field in wanted} if wanted is not None else None
    unknown = [name for name in raw.column_names if known is not None and name not in known]
    if unknown:
        raise BadInput(f"{file.name} has the column {unknown[0]}, which the schema does not have")
    with duckdb.connect(":memory:") as database:
        hide_progress(database)
        database.execute("SET TimeZone = 'UTC'")
        define_macros(database)
        columns = dict[str, Column]()
        for name in raw.column_names:
            tell(f"reading {file.name}: {name}")
            text = raw.column(name)
            columns[name] = _infer(database, text) if known is None else _typed(database, text, known[name], name, file)
    return pa.table(columns)


def _read_text(file: Path) -> pa.Table:
    header = _header(file)
    try:
        return arrow_csv.read_csv(
            file,
            read_options=arrow_csv.ReadOptions(use_threads=False),  # so that an error names the row
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"{file.name}: {str(error).replace('Row #', 'line ')}; correct the line and load again"
        ) from None


def _header(file: Path) -> list[str]:
    with _open(file) as lines:
        header = next(csv.reader(lines), [])
    if not header or "" in header:
        raise BadInput(f"{file.name} needs a first line that names every column")
    twice = [name for index, name in enumerate(header) if name in header[:index]]
    if twice:
        raise BadInput(f"{file.name} names the column {twice[0]} twice")
    return header


def _open(file: Path) -> io.TextIOBase:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return file.open(encoding="utf-8-sig", errors="replace", newline="")


def _convert(database: duckdb.DuckDBPyConnection, text: Column, type_: pa.DataType) -> Column:
    database.register("raw", pa.table({"x": text}))
    question = f"SELECT {_READ[type_]} AS x FROM raw"  # noqa: S608 - one of the expressions above
    values: Column = database.sql(question).to_arrow_table().column("x")
    return values.cast(type_)


def _typed(database: duckdb.DuckDBPyConnection, text: Column, type_: pa.DataType, name: str, file: Path) -> Column:
    if type_ not in _READ:
        raise BadInput(f"{file.name}: column {name} is a record or an array, which CSV cannot hold; load NDJSON")
    values = _convert(database, text, type_)
    if values.null_count > text.null_count:
        bad = pc.index(pc.and_(pc.is_valid(text), pc.is_null(values)), True).as_py()
        where = f"{file.name}, line {_line(file, bad)}"
        raise BadInput(
            f"{where}: {name} is {text[bad].as_py()!r}, which is no {type_name(type_)}; correct it and load again"
        )
    return values


def _infer(database: duckdb.DuckDBPyConnection, text: Column) -> Column:
    if text.null_count == len(text):
        return text
    for type_ in _candidates(text):
        values = _convert(database, text, type_)
        if values.null_count == text.null_count:
            return values
    return text


def _candidates(text: Column) -> tuple[pa.DataType, ...]:
    if _all(text, _WHOLE):
        # Codes such as 007 and numbers beyond INT64 would lose digits as numbers.
        return () if pc.any(pc.match_substring_regex(text, _WITH_ZEROS)).as_py() else (pa.int64(),)
    if _all(text, _TIME):
        return (UTC_MICROS,)
    return (pa.float64(), pa.bool_(), pa.date32())


def _all(text: Column, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(text, pattern)).as_py())


def _line(file: Path, row: int) -> int:
    with _open(file) as lines:
        reader = csv.reader(lines)
        filled = (reader.line_num for fields in reader if fields)
        for index, line in enumerate(filled):
            if index == row + 1:
                return line
    return row + 2
