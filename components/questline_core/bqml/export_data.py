"""EXPORT DATA: the rows of a query as CSV, JSON or Parquet files, one or several by a * in the URI."""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from questline_core import places
from questline_core.bqml.calls import blanked
from questline_core.bqml.literals import FLAG, TEXT
from questline_core.bqml.text import Places, Reader, listed
from questline_core.errors import BadInput
from questline_core.warehouse.columns import type_name
from questline_core.warehouse.where import at

_SHARD_BYTES = 256 * 2**20
_FORMATS = {"CSV": ("", "GZIP"), "JSON": ("", "GZIP"), "PARQUET": ("", "SNAPPY", "GZIP", "ZSTD")}
_OPTIONS = {
    "URI": TEXT,
    "FORMAT": TEXT,
    "COMPRESSION": TEXT,
    "OVERWRITE": FLAG,
    "HEADER": FLAG,
    "FIELD_DELIMITER": TEXT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    uri: str
    format: str
    compression: str
    overwrite: bool
    header: bool
    delimiter: str
    place: str


def export_data(reader: Reader, rows_of: Callable[[str], pa.Table]) -> None:
    """Carry out EXPORT DATA from OPTIONS on.

    Raises:
        BadInput: an option is unknown or wrong, the query fails, or files are there and OVERWRITE is not TRUE.
    """
    reader.expect("OPTIONS")
    wanted = _read(reader)
    reader.expect("AS")
    if reader.done():
        raise reader.wrong("a query")
    rows = rows_of(blanked(reader.text, reader.text.span(reader.index, len(reader.text.tokens))).rstrip("; \n"))
    try:
        with at(wanted.place):
            _deliver(rows, wanted)
    except OSError as error:
        raise BadInput(
            f"{wanted.place}: cannot write to {wanted.uri} ({error.strerror or error}); name another folder"
        ) from error


def _deliver(rows: pa.Table, wanted: _Wanted) -> None:
    there = places.present(wanted.uri)
    if there and not wanted.overwrite:
        raise BadInput(f"{there[0]} is there already; write OVERWRITE = TRUE to replace it")
    with tempfile.TemporaryDirectory() as aside:
        folder, _, name = wanted.uri.rpartition("/")
        for number, shard in enumerate(_shards(rows)):
            _write(Path(aside) / name.replace("*", f"{number:012d}"), shard, wanted)
        places.remove(wanted.uri, there)
        places.deliver(Path(aside), folder or ".")


def _read(reader: Reader) -> _Wanted:
    opening = reader.text.place(reader.index)
    found, places_of = reader.options(_known, lambda name: _value(reader, name))
    return _checked(found, places_of, opening)


def _known(name: str, place: str) -> str:
    if name not in _OPTIONS:
        raise BadInput(f"{place}: EXPORT DATA has no option {name} here; supported are {listed(list(_OPTIONS))}")
    return name


def _value(reader: Reader, name: str) -> Any:
    place, value = reader.text.place(reader.index), reader.value()
    if not _OPTIONS[name].fits(value):
        raise BadInput(f"{place}: {_OPTIONS[name].refusal(f'the option {name}', value)}")
    return value


def _checked(found: dict[str, Any], places_of: Places, opening: str) -> _Wanted:
    for name in ("URI", "FORMAT"):
        if name not in found:
            raise BadInput(f"{opening}: EXPORT DATA needs the option {name}")
    form, compression = found["FORMAT"].upper(), found.get("COMPRESSION", "").upper()
    if form not in _FORMATS:
        raise BadInput(f"{places_of['FORMAT']}: {form!r} is no format here; supported are {listed(list(_FORMATS))}")
    if compression not in _FORMATS[form]:
        raise BadInput(
            f"{places_of['COMPRESSION']}: {form} is not compressed by {compression!r}; "
            f"supported are {listed(_FORMATS[form][1:])}"
        )
    if found["URI"].rpartition("/")[2].count("*") != 1 or found["URI"].count("*") != 1:
        raise BadInput(f"{places_of['URI']}: the URI needs exactly one *, in the file's name, such as scores-*.csv")
    for name in ("HEADER", "FIELD_DELIMITER"):
        if name in found and form != "CSV":
            raise BadInput(f"{places_of[name]}: the option {name} goes with FORMAT 'CSV', not {form!r}")
    delimiter = {"tab": "\t", "\\t": "\t"}.get(found.get("FIELD_DELIMITER", ","), found.get("FIELD_DELIMITER", ","))
    if len(delimiter.encode()) != 1 or delimiter in '"\r\n':
        raise BadInput(
            f"{places_of['FIELD_DELIMITER']}: FIELD_DELIMITER is one character of ASCII, or 'tab'; no quote or line end"
        )
    return _Wanted(
        uri=found["URI"],
        format=form,
        compression=compression,
        overwrite=found.get("OVERWRITE", False),
        header=found.get("HEADER", False),
        delimiter=delimiter,
        place=places_of["URI"],
    )


def _shards(rows: pa.Table) -> Iterator[pa.Table]:
    count = max(1, -(-rows.nbytes // _SHARD_BYTES))
    size = max(1, -(-rows.num_rows // count))
    for start in range(0, max(rows.num_rows, 1), size):
        yield rows.slice(start, size)


def _write(path: Path, rows: pa.Table, wanted: _Wanted) -> None:
    if wanted.format == "PARQUET":
        compression: Any = wanted.compression.lower() or "none"
        try:
            pq.write_table(rows, path, compression=compression)
        except pa.ArrowNotImplementedError as error:
            raise BadInput(f"PARQUET cannot hold these rows ({error}); cast the column to STRING") from error
        return
    if wanted.format == "CSV":
        _write_csv(path, rows, wanted)
    else:
        path.write_bytes(_json(rows))
    if wanted.compression:
        path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def _write_csv(path: Path, rows: pa.Table, wanted: _Wanted) -> None:
    """Write by DuckDB, which quotes only what needs it, as BigQuery does."""
    columns = dict[str, Any]()
    for name in rows.column_names:
        column: Any = rows.column(name)
        if pa.types.is_nested(column.type):
            raise BadInput(
                f"the column {name} is {type_name(column.type)}; CSV has no arrays and structs: use JSON or PARQUET"
            )
        if pa.types.is_timestamp(column.type) or pa.types.is_binary(column.type):
            column = pa.array([_plain(value) for value in column.to_pylist()], pa.string())
        columns[name] = column
    with duckdb.connect() as database:
        database.register("given", pa.table(columns))
        database.sql("SELECT * FROM given").write_csv(str(path), sep=wanted.delimiter, header=wanted.header)


def _json(rows: pa.Table) -> bytes:
    lines = [json.dumps({k: _plain(v) for k, v in row.items() if v is not None}) for row in rows.to_pylist()]
    return "".join(f"{line}\n" for line in lines).encode()


def _plain(value: Any) -> Any:
    """Write a value as BigQuery exports it: INT64 as text, times in UTC, bytes in base64."""
    if isinstance(value, bool) or value is None or isinstance(value, (float, str)):
        return value
    if isinstance(value, datetime):
        zone = " UTC" if value.tzinfo else ""
        return (
            f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "") + zone
        )
    if isinstance(value, (int, Decimal, date)):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]
