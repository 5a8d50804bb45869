"""Load a file of rows into a table: CSV, newline-delimited JSON or Parquet; all of its rows, or none."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from questline_core.errors import BadInput
from questline_core.places import reach
from questline_core.warehouse.columns import googlesql_types
from questline_core.warehouse.csv_rows import read_csv
from questline_core.warehouse.json_rows import read_json
from questline_core.warehouse.port import ReadsStorage, Warehouse
from questline_core.warehouse.schemas import read_schema_file

Tell = Callable[[str], None]
"""Takes a short text about how far the work is."""

_READERS: dict[str, Callable[[Path, pa.Schema | None, Tell], pa.Table]] = {
    ".csv": read_csv,
    ".ndjson": read_json,
    ".jsonl": read_json,
    ".json": read_json,
}


def load_source(  # noqa: PLR0913 - what the command asks for
    warehouse: Warehouse, table: str, source: str, *, schema: Path | None, replace: bool, tell: Tell
) -> int:
    """Load a file of this machine, or files at a URL such as `gs://BUCKET/FILE.parquet`; gives the number of rows.

    Raises:
        BadInput: as for `load_file`, or there is nothing at the URL.
    """
    if "://" not in source:
        return load_file(warehouse, table, Path(source), schema=schema, replace=replace, tell=tell)
    if isinstance(warehouse, ReadsStorage):
        wanted = read_schema_file(schema) if schema else None
        return warehouse.load_files(table, [source], schema=wanted, replace=replace)
    with tempfile.TemporaryDirectory() as folder:
        file = _fetch(source, Path(folder))
        return load_file(warehouse, table, file, schema=schema, replace=replace, tell=tell)


def _fetch(url: str, folder: Path) -> Path:
    file = folder / url.rpartition("/")[2]
    try:
        files, path = reach(url)
        files.get_file(path, str(file))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {url}: {error}") from None
    return file


def load_file(  # noqa: PLR0913 - what the command asks for
    warehouse: Warehouse, table: str, file: Path, *, schema: Path | None, replace: bool, tell: Tell
) -> int:
    """Load a file and return its number of rows.

    Without a schema, the types are those of the table if it exists, and inferred from the whole file if it does not.

    Raises:
        BadInput: a line cannot be read or does not fit; tells which line and why. The table stays as it was.
    """
    exists = table in warehouse.tables()
    wanted = read_schema_file(schema) if schema else None
    if wanted is None and exists and not replace:
        wanted = warehouse.describe(table).schema
    rows = _read(file, wanted, tell)
    tell(f"writing {rows.num_rows:,} rows")
    if exists and not replace:
        warehouse.append(table, rows)
    else:
        warehouse.replace(table, rows)
    return rows.num_rows


def _read(file: Path, wanted: pa.Schema | None, tell: Tell) -> pa.Table:
    suffix = file.with_suffix("").suffix if file.suffix == ".gz" else file.suffix
    if not file.is_file():
        raise BadInput(f"there is no file {file}")
    if suffix == ".parquet":
        return _read_parquet(file)
    if suffix not in _READERS:
        raise BadInput(f"{file.name}: the name must end in .csv, .ndjson, .jsonl or .parquet, to tell what is in it")
    try:
        return _READERS[suffix](file, wanted, tell)
    except (OSError, EOFError, zlib.error) as error:  # the last two of a .gz that is cut off or damaged
        raise BadInput(f"cannot read {file}: {error}") from None


def _read_parquet(file: Path) -> pa.Table:
    try:
        return googlesql_types(pq.ParquetFile(file).read())
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"cannot read {file}: {error}") from None
